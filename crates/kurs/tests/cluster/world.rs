//! A PostgreSQL, a broker, venues, and the processes of a kurs on many machines.

use crate::broker::{Broker, Kind};
use crate::consumer::Consumer;
use crate::support::{PATIENCE, venues};
use kurs_sim::{Sim, SimConfig, SimHandle};
use kurs_testkit::wait::until_async;
use kurs_testkit::{Postgres, PrivateProcess};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

pub(crate) struct World {
    pub(crate) postgres: Postgres,
    pub(crate) broker: Broker,
    pub(crate) store_url: String,
    sim: SimHandle,
    client: reqwest::Client,
}

/// One process.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) process: PrivateProcess,
    pub(crate) door: Door,
}

/// Where a process is asked.
#[derive(Clone)]
pub(crate) struct Door {
    base: String,
    client: reqwest::Client,
}

impl World {
    /// Servers and venues; nothing of kurs runs yet, but its schema is there.
    pub(crate) async fn start(seed: u64) -> Self {
        Self::start_on(Kind::Nats, seed).await
    }

    /// The same with a broker of this kind.
    pub(crate) async fn start_on(kind: Kind, seed: u64) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let broker = tokio::task::spawn_blocking(move || Broker::start(kind));
        let postgres = tokio::task::spawn_blocking(Postgres::start);
        let (postgres, broker) = (postgres.await.unwrap(), broker.await.unwrap());
        let store_url = postgres.database().url();
        let sim = Sim::start(SimConfig::seeded(seed), ([127, 0, 0, 1], 0).into());
        let world = Self {
            broker,
            store_url,
            sim: sim.await.unwrap(),
            client: reqwest::Client::new(),
            postgres,
        };
        let mut migrate = PrivateProcess::start(
            Path::new(env!("CARGO_BIN_EXE_kurs")),
            ["migrate"],
            world.settings("migrate", &[]),
        );
        assert!(migrate.end(PATIENCE).await.success(), "kurs migrate");
        world
    }

    fn settings(&self, name: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut settings = venues(&self.sim);
        let own = [
            ("KURS_STORE__URL", &*self.store_url),
            ("KURS_BUS__URL", &*self.broker.url()),
            ("KURS_WRITER__NAME", name),
            ("KURS_LOG__FORMAT", "text"),
        ];
        let all = own.iter().chain(more);
        settings.extend(all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        settings
    }

    /// A process of one role, once it has started.
    pub(crate) async fn node(&self, role: &str, name: &str, more: &[(&str, &str)]) -> Node {
        let process = PrivateProcess::start(
            Path::new(env!("CARGO_BIN_EXE_kurs")),
            ["serve", "--role", role],
            self.settings(name, more),
        );
        let line = process.line("kurs is ready: ", PATIENCE).await;
        let at = line.find("http://").unwrap();
        let base = line[at..].split([' ', '"']).next().unwrap().to_owned();
        Node {
            name: name.to_owned(),
            process,
            door: Door {
                base,
                client: self.client.clone(),
            },
        }
    }

    pub(crate) async fn writer(&self, name: &str) -> Node {
        self.node("writer", name, &[]).await
    }

    pub(crate) async fn reader(&self, name: &str) -> Node {
        self.node("reader", name, &[]).await
    }

    /// Somebody who hears everything on the bus from now on.
    pub(crate) async fn consumer(&self) -> Consumer {
        Consumer::start(self.broker.end()).await
    }

    /// What the store answers to a statement.
    pub(crate) fn sql(&self, statement: &str) -> String {
        self.postgres.sql(self.database(), statement)
    }

    /// The name of the store's database.
    pub(crate) fn database(&self) -> &str {
        let database = self.store_url.rsplit('/').next().unwrap();
        database.split('?').next().unwrap()
    }

    /// Who holds the lease, by the store: name and epoch.
    pub(crate) fn holder(&self) -> (String, u64) {
        let sql = "SELECT writer || ' ' || epoch FROM lease WHERE shard = 0";
        let told = self.sql(sql);
        let (name, epoch) = told.trim().rsplit_once(' ').unwrap_or(("", "0"));
        (name.to_owned(), epoch.parse().unwrap())
    }

    /// Waits until this Writer is a hot standby that says so.
    pub(crate) async fn stands_by(&self, node: &Node) {
        until_async("a hot standby", PATIENCE, || async {
            let checks = node.get("/readyz?verbose").await.1.to_string();
            let sql = format!(
                "SELECT count(*) FROM writers WHERE name = '{}' AND is_ready",
                node.name
            );
            let is_known = self.sql(&sql).trim() == "1";
            (checks.contains("standby") && is_known).then_some(())
        })
        .await;
    }
}

impl Door {
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().unwrap();
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        match request.timeout(Duration::from_secs(10)).send().await {
            Ok(reply) => {
                let status = reply.status().as_u16();
                let text = reply.text().await.unwrap_or_default();
                (status, serde_json::from_str(&text).unwrap_or(Value::Null))
            }
            Err(_) => (0, Value::Null),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, None).await
    }

    /// Asks with a key.
    pub(crate) async fn ask(&self, path: &str, key: &str) -> reqwest::Response {
        let request = self.client.get(format!("{}{path}", self.base));
        request.bearer_auth(key).send().await.unwrap()
    }

    /// A stream of events, from where the client had ended.
    pub(crate) async fn stream(&self, path: &str, last: &str) -> Option<reqwest::Response> {
        let request = self.client.get(format!("{}{path}", self.base));
        let answer = request.header("last-event-id", last).send().await.ok()?;
        (answer.status() == 200).then_some(answer)
    }

    /// The value of a counter without labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<u64> {
        let asked = self.client.get(format!("{}/metrics", self.base)).send();
        let text = asked.await.ok()?.text().await.ok()?;
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}

impl Node {
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.door.send(method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.door.get(path).await
    }

    pub(crate) async fn is_fresh(&self, pair: &str) -> bool {
        let path = format!("/api/v1/rates/{}", pair.replace('-', "/"));
        let (status, rate) = self.get(&path).await;
        status == 200 && rate["state"] == "fresh"
    }

    pub(crate) async fn until_fresh(&self, pair: &str) {
        let what = format!("{} serves {pair}", self.name);
        until_async(&what, PATIENCE, || async {
            self.is_fresh(pair).await.then_some(())
        })
        .await;
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.unwrap().success());
    }
}
