//! Takes a new configuration while the daemon runs.

use std::path::PathBuf;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::control_plane::ControlPlane;
use super::order::{Order, Unavailable};
use crate::clock::unix_time;
use crate::config::{ConfigError, Loaded, Settings, load};
use crate::control::Refusal;
use crate::host_checks::obstacles;
use crate::view::{Postponed, Reloaded};

/// Reads the configuration again when it is told to.
#[derive(Debug)]
pub(super) struct Reloader {
    path: PathBuf,
    /// What the daemon was started with and keeps.
    running: [(&'static str, String); 12],
    /// Held while a configuration is read and taken, so that the last one asked
    /// for is the one that stays.
    turn: Mutex<()>,
}

impl Reloader {
    /// For a daemon that was started with what the file at `path` said.
    pub(super) fn new(path: PathBuf, settings: &Settings) -> Self {
        Self {
            path,
            running: settings.fixed(),
            turn: Mutex::new(()),
        }
    }

    /// Reads the file the daemon was started with, and everything it names; if
    /// all of it is sound, the packet loop goes on with it. The log tells too.
    pub(super) async fn reload(
        &self,
        plane: &ControlPlane,
    ) -> Result<Result<Reloaded, Refusal>, Unavailable> {
        let ControlPlane {
            mailbox,
            users,
            dhcp,
            ..
        } = plane;
        let _turn = self.turn.lock().await;
        let path = self.path.clone();
        // A panic has been reported already.
        let read = spawn_blocking(move || {
            let loaded = load(&path, unix_time())?;
            let obstacles = obstacles(&loaded.settings);
            Ok::<_, ConfigError>((loaded, obstacles))
        });
        let (loaded, obstacles) = match read.await.map_err(|_| Unavailable)? {
            Ok(read) => read,
            Err(error) => return Ok(Err(refusal(&error))),
        };
        let mut reloaded = self.describe(&loaded);
        let obstacles = obstacles.iter();
        let obstacles = obstacles.map(|obstacle| format!("{obstacle}; hint: {}", obstacle.hint()));
        reloaded.cautions.extend(obstacles);
        let tables = loaded.settings.radius.clone();
        let scopes = loaded.settings.dhcp.clone();
        let metrics = loaded.settings.metrics_address;
        let allow_key_export = loaded.settings.allow_key_export;
        users.adopt(&tables);
        let settings = Box::new(loaded.settings);
        mailbox
            .ask(|reply| Order::Reconfigure { settings, reply })
            .await?;
        users.listen(&tables, mailbox).await;
        dhcp.serve(&scopes, mailbox).await;
        plane.export(metrics).await;
        plane.decryption.adopt(allow_key_export).await;
        tell(&reloaded);
        Ok(Ok(reloaded))
    }

    fn describe(&self, loaded: &Loaded) -> Reloaded {
        let fixed = self.running.iter().zip(loaded.settings.fixed());
        let postponed = fixed
            .filter(|((_, running), (_, configured))| running != configured)
            .map(|((key, running), (_, configured))| Postponed {
                key: (*key).to_owned(),
                running: running.clone(),
                configured,
            });
        let path = self.path.display();
        let cautions = loaded.cautions.iter();
        let cautions = cautions.map(|caution| format!("{path}:{}: {caution}", caution.line));
        Reloaded {
            path: path.to_string(),
            connections: loaded.settings.engine.connections.len(),
            pools: loaded.settings.engine.pools.len(),
            postponed: postponed.collect(),
            cautions: cautions.collect(),
        }
    }
}

fn refusal(error: &ConfigError) -> Refusal {
    let refusal = match error {
        ConfigError::Read { path, source } => Refusal {
            message: format!("nothing was changed: {}: {source}", path.display()),
            hint: Some("restart the daemon to have it read another file".to_owned()),
        },
        error => Refusal {
            message: format!("nothing was changed: {error}"),
            hint: None,
        },
    };
    for reason in refusal.to_string().lines() {
        warn!(reason, "configuration not taken");
    }
    refusal
}

fn tell(reloaded: &Reloaded) {
    let Reloaded {
        path,
        connections,
        pools,
        postponed,
        cautions,
    } = reloaded;
    for caution in cautions {
        warn!("{caution}");
    }
    for Postponed {
        key,
        running,
        configured,
    } in postponed
    {
        let hint = "restart to apply";
        warn!(key, running, configured, hint, "value not taken");
    }
    info!(path, connections, pools, "configuration taken");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::order::Mailbox;
    use crate::waker::Waker;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::thread;
    use tempfile::TempDir;
    use tokio::runtime::Builder;

    const GOOD: &str = r#"
        [gateway]
        transport = "udp"
        data-plane = "none"
        fragment-size = 1280
        [[connection]]
        name = "site"
        remote-networks = ["192.0.2.0/24"]
        local = { id = "vpn.example.com", secret = "correct horse battery staple" }
        remote = { secret = "correct horse battery staple" }
    "#;

    /// Has a daemon that was started with the good file reload `text`: the
    /// answer, and what the packet loop was given.
    fn reload(text: Option<&str>) -> (Result<Reloaded, Refusal>, Option<Box<Settings>>) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("gateway.toml");
        fs::write(&path, GOOD).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let started = load(&path, unix_time()).unwrap();
        let reloader = Reloader::new(path.clone(), &started.settings);
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let (mailbox, orders) = Mailbox::open(Waker::new().unwrap());
        let packet_loop = thread::spawn(move || match orders.recv() {
            Ok(Order::Reconfigure { settings, reply }) => {
                reply.send(()).unwrap();
                Some(settings)
            }
            _ => None,
        });
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let plane = ControlPlane::alone(mailbox, reloader, &runtime);
        let reloading = plane.reloader.reload(&plane);
        let answer = runtime.block_on(reloading).unwrap();
        drop(plane);
        (answer, packet_loop.join().unwrap())
    }

    #[test]
    fn a_sound_file_is_taken_and_what_takes_a_restart_is_named() {
        let text = GOOD.replace(
            "1280",
            "1000\nfragmentation = false\nstate-dir = \"/srv/state\"",
        ) + "[log]\nlevel = \"debug\"\n";
        let (answer, given) = reload(Some(&text));
        let reloaded = answer.unwrap();
        assert_eq!((reloaded.connections, reloaded.pools), (1, 0));
        let postponed = |key: &str, running: &str, configured: &str| Postponed {
            key: key.to_owned(),
            running: running.to_owned(),
            configured: configured.to_owned(),
        };
        let expected = [
            postponed("gateway.state-dir", "/var/lib/ikexdp", "/srv/state"),
            postponed("log.level", "info", "debug"),
        ];
        assert_eq!(reloaded.postponed, expected);
        let [caution] = reloaded.cautions.as_slice() else {
            panic!("one caution: {:?}", reloaded.cautions);
        };
        assert!(
            caution.contains("gateway.toml:6: gateway.fragmentation: "),
            "{caution}"
        );
        let given = given.expect("the packet loop is told");
        assert_eq!(given.engine.fragmentation.datagram_len, 1000);
    }

    #[test]
    fn a_file_with_an_error_changes_nothing() {
        let broken = GOOD.replace("1280", "9000").replace("192.0.2.0/24", "net");
        let (answer, given) = reload(Some(&broken));
        assert!(given.is_none());
        let refusal = answer.unwrap_err().to_string();
        for part in [
            "nothing was changed: ",
            "gateway.toml:5: gateway.fragment-size: not between 576 and 1500: 9000; hint: ",
            "error: ",
            "connection.site.remote-networks: neither a prefix nor a range",
        ] {
            assert!(refusal.contains(part), "{part}: {refusal}");
        }
        let (answer, given) = reload(None);
        assert!(given.is_none());
        let refusal = answer.unwrap_err().to_string();
        assert!(refusal.contains("gateway.toml: No such file"), "{refusal}");
    }
}
