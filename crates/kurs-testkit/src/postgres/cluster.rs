//! Makes the cluster of a private server: its folder, its settings, its certificate.

use super::{Postgres, PostgresOptions};
use std::fmt::Write as _;
use std::path::Path;

impl Postgres {
    pub(super) fn make_cluster(&self, options: &PostgresOptions) {
        let password_file = self.folder.path().join("password");
        std::fs::write(&password_file, &self.password).expect("the folder can be written");
        self.run_as.give(&password_file);
        let mut initdb = self.run_as.command(&self.programs.path("initdb"), false);
        initdb
            .args(["--no-sync", "--no-instructions", "--username=postgres"])
            .args(["--encoding=UTF8", "--locale=C"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .arg("--pwfile")
            .arg(&password_file)
            .arg("-D")
            .arg(self.data())
            .current_dir(self.folder.path());
        let made = initdb.output().expect("initdb can be started");
        assert!(
            made.status.success(),
            "initdb failed: {}{}",
            String::from_utf8_lossy(&made.stdout),
            String::from_utf8_lossy(&made.stderr)
        );
        let mut settings = String::new();
        let mut set = |name: &str, value: &str| {
            let _ = writeln!(settings, "{name} = '{value}'");
        };
        set("listen_addresses", "127.0.0.1");
        set("port", &self.port.to_string());
        set(
            "unix_socket_directories",
            &self.folder.path().to_string_lossy(),
        );
        set("max_connections", "100");
        set("shared_buffers", "64MB");
        set("jit", "off");
        if !options.fsync {
            set("fsync", "off");
            set("full_page_writes", "off");
        }
        if options.tls {
            self.make_certificate();
            let file = |name: &str| self.folder.path().join(name).to_string_lossy().into_owned();
            set("ssl", "on");
            set("ssl_cert_file", &file("server.crt"));
            set("ssl_key_file", &file("server.key"));
        }
        for (name, value) in &options.settings {
            set(name, value);
        }
        let configuration = self.data().join("postgresql.conf");
        let whole = std::fs::read_to_string(&configuration).expect("initdb wrote its settings");
        std::fs::write(&configuration, whole + &settings).expect("the settings can be written");
    }

    /// A certificate for `localhost` that nobody vouches for.
    fn make_certificate(&self) {
        let mut openssl = self.run_as.command(Path::new("openssl"), false);
        openssl
            .args(["req", "-new", "-x509", "-nodes", "-days", "2"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args([
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
            ])
            // Strict clients take no authority for a server.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "server.key", "-out", "server.crt"])
            .current_dir(self.folder.path());
        let made = openssl.output().expect("openssl can be started");
        assert!(
            made.status.success(),
            "openssl failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
}
