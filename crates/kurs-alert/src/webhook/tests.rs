use super::*;
use crate::alert::{Alert, id_of};
use crate::condition::{Condition, Terms};
use crate::message::AlertMessage;
use kurs_core::{Now, Pair, SystemClock};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn delivery(url: &str) -> Delivery {
    let condition = Condition::Freeze {
        pair: Pair::parse("BTC-USD").unwrap(),
        after: Duration::from_secs(5),
    };
    let target = Target::Webhook { url: url.into() };
    let terms = Terms::usual(condition);
    let alert = Alert::new(id_of([7; 12]), target.clone(), terms, "cli".into(), Wall(0));
    let message = AlertMessage::test("abc-1".into(), &alert, None, Wall(0));
    Delivery {
        id: "abc-1".into(),
        alert: Arc::clone(&alert.id),
        target,
        secret: Some("secret".into()),
        body: serde_json::to_string(&message).unwrap().into(),
        message,
        attempts: 0,
        created_at: Wall(0),
    }
}

/// Says what it was told to say, and remembers what it was asked.
#[derive(Default)]
struct Names {
    addresses: Vec<SocketAddr>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        self.asked.lock().push(format!("{host}:{port}"));
        Ok(self.addresses.clone())
    }
}

fn courier(names: Arc<Names>, is_insecure: bool) -> WebhookCourier {
    let tls = kurs_net::http::tls_config().unwrap();
    let clock = Arc::new(SystemClock::new());
    WebhookCourier::new(tls, names, clock, "kurs/test".to_owned(), is_insecure)
}

async fn deliver_insecure(url: &str) -> Delivered {
    courier(Arc::default(), true).deliver(&delivery(url)).await
}

/// Listens, answers each request with `answer`; gives the address and what was received.
async fn server(answer: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&received);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            let mut buffer = [0; 4_096];
            while !String::from_utf8_lossy(&text).ends_with('}') {
                let count = socket.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                text.extend_from_slice(&buffer[..count]);
            }
            keep.lock().push(String::from_utf8(text).unwrap());
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    (address, received)
}

#[tokio::test]
async fn a_request_carries_its_key_and_a_signature_that_holds() {
    let (address, received) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("http://{address}/hook?x=1");
    assert_eq!(deliver_insecure(&url).await, Delivered::Done);
    let text = received.lock().remove(0);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap()
    };
    assert_eq!(header("Host"), address.to_string());
    assert_eq!(header("Idempotency-Key"), "abc-1");
    assert_eq!(header("User-Agent"), "kurs/test");
    assert_eq!(header("Content-Type"), "application/json");
    let signature = header("Kurs-Signature");
    let at = signature.strip_prefix("t=").unwrap();
    let at: i64 = at.split_once(',').unwrap().0.parse().unwrap();
    assert_eq!(signature, sign::header("secret", at, body.as_bytes()));
    let now: Now = SystemClock::new().now();
    assert!((now.wall.unix_seconds() - at).abs() < 60);
    assert_eq!(body, &*delivery(&url).body);
}

#[tokio::test]
async fn an_answer_decides_whether_it_is_tried_again() {
    let again = |after: Option<u64>, why: &str| Delivered::Again {
        after: after.map(Duration::from_secs),
        why: why.to_owned(),
    };
    for (answer, expected) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            Delivered::Done,
        ),
        (
            "HTTP/1.1 202 Accepted\r\nContent-Length: 9999\r\n\r\n",
            Delivered::Done,
        ),
        (
            "HTTP/1.1 410 Gone\r\n\r\n",
            Delivered::Never {
                why: "answered 410 Gone".to_owned(),
            },
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n",
            again(Some(7), "answered 503 Service Unavailable"),
        ),
        (
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: Thu, 01 Jan 1970 00:00:09 GMT\r\n\r\n",
            again(Some(0), "answered 429 Too Many Requests"),
        ),
        (
            "HTTP/1.1 404 Not Found\r\n\r\n",
            again(None, "answered 404 Not Found"),
        ),
    ] {
        let (address, _) = server(answer).await;
        let url = format!("http://{address}/");
        assert_eq!(deliver_insecure(&url).await, expected, "{answer}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (inside, reached) = server("HTTP/1.1 200 OK\r\n\r\n").await;
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{inside}/\r\n\r\n");
    let (address, received) = server(answer.leak()).await;
    let delivered = deliver_insecure(&format!("http://{address}/")).await;
    assert!(
        matches!(delivered, Delivered::Again { .. }),
        "{delivered:?}"
    );
    assert_eq!(received.lock().len(), 1);
    assert!(reached.lock().is_empty());
}

#[tokio::test]
async fn a_name_with_one_address_inside_is_not_connected_to() {
    let (inside, reached) = server("HTTP/1.1 200 OK\r\n\r\n").await;
    let open: SocketAddr = "1.1.1.1:443".parse().unwrap();
    for addresses in [vec![inside], vec![open, inside], vec![inside, open]] {
        let names = Arc::new(Names {
            addresses,
            asked: Mutex::default(),
        });
        let courier = courier(Arc::clone(&names), false);
        let delivered = courier
            .deliver(&delivery("https://hooks.example.org/x"))
            .await;
        let expected = Delivered::Never {
            why: "127.0.0.1 is no address of the open internet".to_owned(),
        };
        assert_eq!(delivered, expected);
        assert_eq!(
            *names.asked.lock(),
            ["hooks.example.org:443"],
            "resolved once"
        );
    }
    assert!(reached.lock().is_empty());
    for url in [
        "https://127.0.0.1/",
        "http://example.org/",
        "https://[::1]/",
    ] {
        let names = Arc::new(Names::default());
        let delivered = courier(Arc::clone(&names), false)
            .deliver(&delivery(url))
            .await;
        assert!(
            matches!(delivered, Delivered::Never { .. }),
            "{url}: {delivered:?}"
        );
        assert!(names.asked.lock().is_empty(), "{url}");
    }
}

#[tokio::test]
async fn a_target_that_cannot_be_reached_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for url in [
        format!("http://{address}/"),
        "https://nowhere.example/".to_owned(),
    ] {
        let delivered = deliver_insecure(&url).await;
        assert!(
            matches!(delivered, Delivered::Again { .. }),
            "{url}: {delivered:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_says_nothing_is_given_five_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let begin = tokio::time::Instant::now();
    let delivered = deliver_insecure(&url).await;
    assert!(
        matches!(delivered, Delivered::Again { .. }),
        "{delivered:?}"
    );
    assert!(begin.elapsed() <= Duration::from_secs(6));
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20));
    let (address, _) = server(endless.leak()).await;
    let delivered = deliver_insecure(&format!("http://{address}/")).await;
    assert!(
        matches!(delivered, Delivered::Again { .. }),
        "{delivered:?}"
    );
}

#[test]
fn a_time_to_wait_is_read_in_both_forms_and_bounded() {
    let now = Wall::from_unix_seconds(1_000);
    for (text, expected) in [
        ("120", Some(120)),
        (" 5 ", Some(5)),
        ("99999999999", Some(86_400)),
        ("Thu, 01 Jan 1970 00:17:00 GMT", Some(20)),
        ("Thu, 01 Jan 1970 00:00:01 GMT", Some(0)),
        ("soon", None),
        ("-5", None),
    ] {
        let after = retry_after(text, now).map(|after| after.as_secs());
        assert_eq!(after, expected, "{text}");
    }
}
