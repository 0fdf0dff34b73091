//! A page for many readers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Makes a page when somebody asks for it, and one for all who ask about then.
#[derive(Debug)]
pub(super) struct Shared<P> {
    make: P,
    age_max: Duration,
    /// Held while a page is made: others wait for that one.
    latest: Mutex<Option<(Instant, Arc<str>)>>,
}

impl<P, F> Shared<P>
where
    P: Fn() -> F,
    F: Future<Output = Option<String>>,
{
    /// Shows a page that `make` made until it has this age.
    pub(super) fn new(make: P, age_max: Duration) -> Self {
        Self {
            make,
            age_max,
            latest: Mutex::default(),
        }
    }

    /// The page; nothing if there is none.
    pub(super) async fn page(&self) -> Option<Arc<str>> {
        let mut latest = self.latest.lock().await;
        if let Some((made, page)) = &*latest
            && made.elapsed() < self.age_max
        {
            return Some(Arc::clone(page));
        }
        let page: Arc<str> = (self.make)().await?.into();
        *latest = Some((Instant::now(), Arc::clone(&page)));
        Some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::pending;
    use tokio::join;
    use tokio::runtime::Builder;
    use tokio::task::yield_now;

    /// What three are shown who ask at once, and one who asks then.
    fn shown(age_max: Duration) -> Vec<String> {
        let made = Cell::new(0);
        let made = &made;
        let make = || async {
            made.set(made.get() + 1);
            yield_now().await;
            Some(made.get().to_string())
        };
        let shared = Shared::new(make, age_max);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let shown = runtime.block_on(async {
            let (one, two, three) = join!(shared.page(), shared.page(), shared.page());
            [one, two, three, shared.page().await]
        });
        let shown = shown.into_iter().flatten();
        shown.map(|page| page.to_string()).collect()
    }

    #[test]
    fn a_page_is_made_once_for_all_who_ask_within_its_time() {
        assert_eq!(shown(Duration::MAX), ["1"; 4]);
        assert_eq!(shown(Duration::ZERO), ["1", "2", "3", "4"]);
    }

    #[test]
    fn who_goes_away_leaves_it_to_the_next() {
        let is_first = Cell::new(true);
        let is_first = &is_first;
        let make = || async {
            if is_first.replace(false) {
                pending::<()>().await;
            }
            Some("page".to_owned())
        };
        let shared = Shared::new(make, Duration::MAX);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = shared.page() => panic!("it is never made"),
                () = yield_now() => {}
            }
            assert_eq!(shared.page().await.as_deref(), Some("page"));
        });
    }
}
