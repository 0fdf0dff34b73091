//! `ikexdp top`.

mod draw;
mod model;
mod reader;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Rect;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use self::draw::{draw, text};
use self::model::{INTERVAL, Model};
use self::reader::{Asker, Reader};
use super::{CliError, Daemon};
use crate::clock::Clock;

/// How long a key, a signal or a reading may wait.
const TICK: Duration = Duration::from_millis(200);

/// What others may send to have it end: the terminal must be as it was then.
const SIGNALS: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// The size of a picture for which there is no terminal.
const SIZE: (u16, u16) = (80, 24);

#[derive(Args, Debug)]
pub(super) struct Options {
    /// Write one picture as text, after two readings that are a second apart
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn execute(options: Options, out: &mut impl Write) -> Result<(), CliError> {
    if options.once {
        return once(&options, out);
    }
    if !io::stdout().is_terminal() {
        return Err(CliError::NoTerminal);
    }
    let leave = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        signal_hook::flag::register(signal, Arc::clone(&leave))?;
    }
    // Brings the terminal back in a panic as well.
    let mut terminal = ratatui::try_init().inspect_err(|_| {
        // It may have come half way.
        let _ = ratatui::try_restore();
    })?;
    let shown = show(&mut terminal, options, &leave);
    ratatui::try_restore()?;
    Ok(shown?)
}

fn once(options: &Options, out: &mut impl Write) -> Result<(), CliError> {
    let clock = Clock::start();
    let mut model = Model::new(INTERVAL);
    let mut asker = Asker::new(options.daemon.socket.clone(), clock);
    for pause in [INTERVAL, Duration::ZERO] {
        let at = clock.now();
        model.hear(at, Ok(asker.read()?));
        thread::sleep(pause);
    }
    let terminal = io::stdout().is_terminal();
    let size = terminal.then(|| ratatui::crossterm::terminal::size().ok());
    let (width, height) = size.flatten().unwrap_or(SIZE);
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    draw(&model, clock.now(), buffer.area, &mut buffer);
    Ok(out.write_all(text(&buffer).as_bytes())?)
}

/// Until somebody has seen enough.
fn show(terminal: &mut DefaultTerminal, options: Options, leave: &AtomicBool) -> io::Result<()> {
    let clock = Clock::start();
    let mut model = Model::new(INTERVAL);
    let reader = Reader::start(options.daemon.socket, clock, model.interval)?;
    while !leave.load(Ordering::Relaxed) {
        for (at, told) in reader.readings() {
            if !model.paused {
                model.hear(at, told);
            }
        }
        terminal.draw(|frame| draw(&model, clock.now(), frame.area(), frame.buffer_mut()))?;
        if !event::poll(TICK)? {
            continue;
        }
        let Event::Key(key) = event::read()? else {
            continue;
        };
        let interval = model.interval;
        if key.kind == KeyEventKind::Press && obey(&mut model, key) == Next::Leave {
            return Ok(());
        }
        if model.interval != interval {
            reader.set_interval(model.interval);
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Stay,
    Leave,
}

fn obey(model: &mut Model, key: KeyEvent) -> Next {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return Next::Leave,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Next::Leave,
        KeyCode::Char('p' | ' ') => model.paused = !model.paused,
        KeyCode::Char('+') => model.slower(),
        KeyCode::Char('-') => model.faster(),
        KeyCode::Char('s') | KeyCode::Tab => model.reorder(),
        _ => {}
    }
    Next::Stay
}

#[cfg(test)]
mod tests;
