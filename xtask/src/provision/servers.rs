//! Servers of Debian, whose packages start what they bring. The tests run private ones, so
//! a package that the tasks install starts nothing, neither now nor with the machine.

use std::path::Path;

/// A package that starts something, and what it starts.
struct Server {
    package: &'static str,
    units: &'static [&'static str],
    /// It comes along with the package; where it is there already, its units stay as they are.
    companion: Option<(&'static str, &'static [&'static str])>,
}

const SERVERS: [Server; 5] = [
    Server {
        package: "influxdb",
        units: &["influxdb.service"],
        companion: None,
    },
    Server {
        package: "nats-server",
        units: &["nats-server.service"],
        companion: None,
    },
    Server {
        package: "nginx",
        units: &["nginx.service"],
        companion: None,
    },
    Server {
        package: "rabbitmq-server",
        units: &["rabbitmq-server.service"],
        // The name server of Erlang.
        companion: Some(("epmd", &["epmd.service", "epmd.socket"])),
    },
    Server {
        package: "redis-server",
        units: &["redis-server.service"],
        companion: None,
    },
];

/// Asked by the packages whether they may start what they bring.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// Marks the answer as ours.
const MARK: &str = "# kurs-tests";

/// Shell text to run as root before and after an installation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quiet {
    pub(super) before: String,
    pub(super) after: String,
}

/// What keeps these packages from starting anything; nothing when none of them would.
pub(super) fn quiet(packages: &[&str], is_there: impl Fn(&str) -> bool) -> Option<Quiet> {
    let mut units = Vec::new();
    for server in &SERVERS {
        if packages.contains(&server.package) {
            units.extend(server.units);
            if let Some((program, more)) = server.companion
                && !is_there(program)
            {
                units.extend(more);
            }
        }
    }
    (!units.is_empty()).then(|| written(Path::new(POLICY), &units))
}

fn written(policy: &Path, units: &[&str]) -> Quiet {
    let policy = policy.display();
    let mut after = vec![format!(
        "if grep -qs '^{MARK}$' {policy}; then rm -f {policy}; fi"
    )];
    for unit in units {
        // The first knows units without a script of System V, the second machines without systemd.
        // Either may have nothing to do.
        after.push(format!(
            "systemctl --quiet disable {unit} > /dev/null 2>&1 || true"
        ));
        if let Some(script) = unit.strip_suffix(".service") {
            after.push(format!(
                "update-rc.d {script} disable > /dev/null 2>&1 || true"
            ));
        }
    }
    Quiet {
        // One that is there already stays as it is.
        before: format!(
            "test -e {policy} || \
             {{ printf '#!/bin/sh\\n{MARK}\\nexit 101\\n' > {policy} && chmod 755 {policy}; }}"
        ),
        after: after.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::process::Command;

    /// A folder of its own for each test, gone with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = format!("kurs-xtask-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn shell(text: &str) {
        let status = Command::new("sh").args(["-e", "-c", text]).status();
        assert!(status.unwrap().success(), "{text}");
    }

    #[test]
    fn packages_may_start_nothing_while_they_are_installed_and_others_may_again_later() {
        let folder = Folder::new("quiet");
        let policy = folder.0.join("policy-rc.d");
        // A unit that no machine has: the test changes nothing.
        let quiet = written(&policy, &["kurs-no-such-unit.service"]);
        shell(&quiet.before);
        let answer = Command::new(&policy).args(["any-server", "start"]).status();
        assert_eq!(answer.unwrap().code(), Some(101));
        shell(&quiet.after);
        assert!(!policy.exists());
    }

    #[test]
    fn a_policy_of_the_machine_stays_as_it_is() {
        let folder = Folder::new("policy");
        let policy = folder.0.join("policy-rc.d");
        std::fs::write(&policy, "#!/bin/sh\nexit 104\n").unwrap();
        let quiet = written(&policy, &["kurs-no-such-unit.service"]);
        shell(&quiet.before);
        shell(&quiet.after);
        let text = std::fs::read_to_string(&policy).unwrap();
        assert_eq!(text, "#!/bin/sh\nexit 104\n");
    }

    #[test]
    fn what_is_installed_does_not_start_with_the_machine() {
        let after = |packages: &[&str]| quiet(packages, |_| false).unwrap().after;
        for server in &SERVERS {
            let text = after(&[server.package]);
            assert!(text.contains(&format!("update-rc.d {} disable", server.package)));
            for unit in server.units {
                assert!(text.contains(&format!("systemctl --quiet disable {unit} ")));
            }
        }
        let rabbitmq = after(&["rabbitmq-server", "gcc"]);
        assert!(rabbitmq.contains("disable epmd.socket"));
        assert!(!rabbitmq.contains("redis"));
    }

    #[test]
    fn a_name_server_of_erlang_that_was_there_stays_as_it_is() {
        let quiet = quiet(&["rabbitmq-server"], |program| program == "epmd").unwrap();
        assert!(!quiet.after.contains("epmd"));
    }

    #[test]
    fn packages_without_a_server_need_nothing() {
        assert_eq!(quiet(&["gcc", "git"], |_| false), None);
    }
}
