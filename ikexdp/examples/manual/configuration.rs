//! ikexdp.toml(5), made of the reference for readers of the repository: there is
//! one list of keys.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

const REFERENCE: &str = include_str!("../../../docs/configuration.md");

/// The page.
///
/// # Errors
/// The reference has what no one has taught this to show.
pub(crate) fn page(date: &str) -> Result<Roff, String> {
    let mut page = Page::default();
    let source = concat!("ikexdp ", env!("CARGO_PKG_VERSION"));
    page.roff
        .control("TH", ["ikexdp.toml", "5", date, source, "IKEv2 gateway"])
        .control("SH", ["NAME"])
        .text([roman("ikexdp.toml - configuration of the IKEv2 gateway")]);
    for event in Parser::new_ext(REFERENCE, Options::ENABLE_TABLES) {
        page.event(event)?;
    }
    page.roff
        .control("SH", ["SEE ALSO"])
        .text([roman("ikexdp(8), ikexdp-check(8)")]);
    Ok(page.roff)
}

/// A page that is being written.
#[derive(Default)]
struct Page {
    roff: Roff,
    /// What there is of the current paragraph, heading, item or cell.
    inlines: Vec<Inline>,
    /// What the columns of the current table are called.
    titles: Vec<String>,
    /// The cells of the current row.
    cells: Vec<Vec<Inline>>,
    /// Whether the text is emphasised.
    emphasis: bool,
    /// Whether the next paragraph has begun already, with a section or an item.
    begun: bool,
}

impl Page {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(tag) => self.start(&tag)?,
            Event::End(tag) => self.end(tag),
            Event::Code(code) => self.inlines.push(bold(code.into_string())),
            Event::Text(text) if self.emphasis => self.inlines.push(italic(text.into_string())),
            Event::Text(text) => self.inlines.push(roman(text.into_string())),
            Event::SoftBreak => self.inlines.push(roman(" ")),
            other => return Err(format!("the manual cannot show: {other:?}")),
        }
        Ok(())
    }

    fn start(&mut self, tag: &Tag<'_>) -> Result<(), String> {
        match tag {
            Tag::Emphasis | Tag::Strong => self.emphasis = true,
            Tag::Item => {
                self.roff.control("IP", ["\\(bu", "2"]);
                self.begun = true;
            }
            Tag::Paragraph if !self.begun => drop(self.roff.control("PP", [])),
            Tag::CodeBlock(_) => drop(self.roff.control("EX", [])),
            Tag::Heading { .. }
            | Tag::Link { .. }
            | Tag::List(None)
            | Tag::Paragraph
            | Tag::Table(_)
            | Tag::TableCell
            | Tag::TableHead
            | Tag::TableRow => {}
            other => return Err(format!("the manual cannot show: {other:?}")),
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong => self.emphasis = false,
            // The title of the document is that of the page.
            TagEnd::Heading(pulldown_cmark::HeadingLevel::H1) => {
                self.inlines.clear();
                self.section("DESCRIPTION");
            }
            TagEnd::Heading(_) => {
                let title = plain(&self.inlines);
                self.inlines.clear();
                self.section(&title);
            }
            TagEnd::Paragraph | TagEnd::Item => {
                self.flush();
            }
            TagEnd::CodeBlock => {
                self.flush();
                self.roff.control("EE", []);
            }
            TagEnd::TableCell => self.cells.push(std::mem::take(&mut self.inlines)),
            TagEnd::TableHead => {
                self.titles = self.cells.drain(..).map(|cell| plain(&cell)).collect();
            }
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    fn section(&mut self, title: &str) {
        self.roff.control("SH", [title]);
        self.begun = true;
    }

    fn flush(&mut self) {
        self.begun = false;
        if !self.inlines.is_empty() {
            self.roff.text(std::mem::take(&mut self.inlines));
        }
    }

    /// A key, its kind and its default, and below them what it means.
    fn row(&mut self) {
        self.begun = false;
        let mut tag = Vec::new();
        let mut meaning = Vec::new();
        for (title, cell) in self.titles.iter().zip(self.cells.drain(..)) {
            match title.as_str() {
                "key" | "profile" => tag.extend(cell),
                "kind" => tag.extend([roman(" ("), italic(plain(&cell)), roman(")")]),
                "default" if cell.is_empty() => {}
                "default" => tag.extend([roman(", default "), roman(plain(&cell))]),
                _ => meaning.extend(cell),
            }
        }
        self.roff.control("TP", []).text(tag);
        self.roff.text(meaning);
    }
}

/// The text alone.
fn plain(inlines: &[Inline]) -> String {
    let text = |inline: &Inline| match inline {
        Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text.clone(),
        Inline::LineBreak => String::new(),
    };
    inlines.iter().map(text).collect()
}
