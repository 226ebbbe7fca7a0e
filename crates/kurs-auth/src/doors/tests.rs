use super::*;
use crate::config::QuotaConfig;
use crate::key::SecretKey;
use crate::key_ring::Key;
use kurs_core::Mono;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

fn at(seconds: i64) -> Now {
    Now {
        mono: Mono(u64::try_from(seconds).unwrap() * 1_000_000_000),
        wall: Wall::from_unix_seconds(seconds),
    }
}

fn secret(seed: u64) -> SecretKey {
    let mut random = fastrand::Rng::with_seed(seed);
    SecretKey::make("live", move |bytes| random.fill(bytes)).unwrap()
}

fn key(secret: &SecretKey, scopes: &str) -> Key {
    Key {
        id: secret.id(),
        hash: secret.hash(),
        scopes: scopes.parse().unwrap(),
        expires_at: None,
        is_revoked: false,
    }
}

fn closed() -> Doors {
    let auth = AuthConfig {
        anonymous: Vec::new(),
        ..AuthConfig::default()
    };
    Doors::new(&auth, &LimitsConfig::default())
}

#[test]
fn before_the_first_key_changes_come_from_the_own_machine_and_then_by_key_alone() {
    let doors = Doors::default();
    let ask = |shown| doors.admit(shown, Scope::Admin, HERE, at(9));
    assert_eq!(ask(Credential::None), Err(Refused::NotReady));
    doors.set_ring(KeyRing::default());
    assert!(ask(Credential::None).unwrap().must_be_local);
    let (admin, reader) = (secret(1), secret(2));
    doors.set_ring(KeyRing::new([key(&admin, "admin"), key(&reader, "read")]));
    assert_eq!(ask(Credential::None), Err(Refused::Unknown(Scope::Admin)));
    let passage = ask(Credential::Key(admin.reveal())).unwrap();
    assert!(!passage.must_be_local);
    let refused = ask(Credential::Bearer(reader.reveal()));
    assert_eq!(refused, Err(Refused::Scope(Scope::Admin)));
    // No way back: a key that was revoked was a key.
    let gone = Key {
        is_revoked: true,
        ..key(&admin, "admin")
    };
    doors.set_ring(KeyRing::new([gone]));
    assert_eq!(ask(Credential::None), Err(Refused::Unknown(Scope::Admin)));
}

#[test]
fn everybody_reads_unless_it_is_configured_otherwise() {
    let (open, closed) = (Doors::default(), closed());
    for scope in [Scope::Read, Scope::History, Scope::Stream] {
        assert!(open.admit(Credential::None, scope, THERE, at(1)).is_ok());
        let refused = closed.admit(Credential::None, scope, THERE, at(1));
        assert_eq!(refused, Err(Refused::Unknown(scope)));
    }
}

#[test]
fn a_wrong_key_is_refused_where_none_is_needed() {
    let doors = Doors::default();
    let good = secret(1);
    let ask = |shown| doors.admit(shown, Scope::Read, THERE, at(1)).map(|_| ());
    assert_eq!(ask(Credential::Key(good.reveal())), Err(Refused::NotReady));
    doors.set_ring(KeyRing::default());
    let unknown = Refused::Key(KeyRefused::Unknown);
    assert_eq!(ask(Credential::Key(good.reveal())), Err(unknown));
    assert!(matches!(ask(Credential::Key("x")), Err(Refused::Key(_))));
    assert!(matches!(
        ask(Credential::Bearer("x")),
        Err(Refused::Token(_))
    ));
    assert_eq!(ask(Credential::Unreadable), Err(Refused::Unreadable));
    assert_eq!(ask(Credential::Ticket("x")), Err(Refused::Ticket));
}

#[test]
fn each_address_and_each_key_has_its_own_quota_and_the_own_machine_none() {
    let quota = |requests| QuotaConfig {
        requests,
        window_seconds: 60,
    };
    let limits = LimitsConfig {
        anonymous: quota(2),
        key: quota(3),
        failures: quota(1),
        ..LimitsConfig::default()
    };
    let doors = Doors::new(&AuthConfig::default(), &limits);
    let held = secret(1);
    doors.set_ring(KeyRing::new([key(&held, "read")]));
    let ask = |shown, from| doors.admit(shown, Scope::Read, from, at(1));
    for left in [1, 0] {
        let passage = ask(Credential::None, THERE).unwrap();
        assert_eq!(passage.left.unwrap().1.requests, left);
    }
    let refused = ask(Credential::None, THERE).unwrap_err();
    assert!(
        matches!(
            refused,
            Refused::TooOften {
                retry_seconds: 30,
                ..
            }
        ),
        "{refused:?}"
    );
    for _ in 0..3 {
        assert!(ask(Credential::Key(held.reveal()), THERE).is_ok());
    }
    let refused = ask(Credential::Key(held.reveal()), HERE).unwrap_err();
    assert!(
        matches!(refused, Refused::TooOften { .. }),
        "wherever it is used"
    );
    for _ in 0..10 {
        assert!(ask(Credential::None, HERE).unwrap().left.is_none());
    }
    assert!(matches!(
        ask(Credential::Key("x"), THERE),
        Err(Refused::Key(_))
    ));
    let refused = ask(Credential::Key("x"), THERE).unwrap_err();
    assert!(
        matches!(refused, Refused::TooManyFailures { .. }),
        "{refused:?}"
    );
}

#[test]
fn hosts_of_one_ipv6_network_share_a_quota() {
    let one: IpAddr = "2001:db8::1".parse().unwrap();
    let other: IpAddr = "2001:db8::ffff:1".parse().unwrap();
    assert_eq!(network_of(one), network_of(other));
    let mapped: IpAddr = "::ffff:203.0.113.7".parse().unwrap();
    assert_eq!(network_of(mapped), THERE);
}

#[test]
fn what_is_open_ends_with_the_key() {
    let doors = closed();
    let (held, other) = (secret(1), secret(2));
    let ends = Key {
        expires_at: Some(Wall::from_unix_seconds(50)),
        ..key(&other, "stream")
    };
    doors.set_ring(KeyRing::new([key(&held, "stream"), ends]));
    let open = |secret: &SecretKey| {
        let shown = Credential::Key(secret.reveal());
        let caller = doors
            .admit(shown, Scope::Stream, THERE, at(1))
            .unwrap()
            .caller;
        doors.open(&caller).unwrap()
    };
    let (first, second, third) = (open(&held), open(&other), open(&held));
    assert!(doors.over(at(49).wall).is_empty());
    assert_eq!(doors.over(at(50).wall), [second.number()]);
    assert!(!doors.may_stay(second.number(), at(50).wall));
    drop(third);
    let revoked = Key {
        is_revoked: true,
        ..key(&held, "stream")
    };
    doors.set_ring(KeyRing::new([revoked, ends]));
    assert_eq!(doors.over(at(2).wall), [first.number()]);
    assert!(doors.open(&Caller::anonymous(Scopes::NONE)).is_none());
}

#[test]
fn a_ticket_stands_for_its_holder_on_streams_and_nowhere_else() {
    let doors = closed();
    let held = secret(1);
    doors.set_ring(KeyRing::new([key(&held, "read stream")]));
    let shown = Credential::Key(held.reveal());
    let caller = doors
        .admit(shown, Scope::Stream, THERE, at(1))
        .unwrap()
        .caller;
    let give = || {
        let mut random = fastrand::Rng::new();
        let ticket = doors.ticket(caller.clone(), at(1), move |bytes| random.fill(bytes));
        ticket.unwrap()
    };
    let ticket = give();
    let ask = |ticket: &TicketText, scope| {
        let shown = Credential::Ticket(ticket.reveal());
        doors.admit(shown, scope, THERE, at(2))
    };
    assert_eq!(ask(&ticket, Scope::Read), Err(Refused::Ticket));
    assert_eq!(ask(&ticket, Scope::Stream).unwrap().caller, caller);
    assert_eq!(ask(&ticket, Scope::Stream), Err(Refused::Ticket));
    let ticket = give();
    let revoked = Key {
        is_revoked: true,
        ..key(&held, "read stream")
    };
    doors.set_ring(KeyRing::new([revoked]));
    let refused = ask(&ticket, Scope::Stream);
    assert_eq!(refused, Err(Refused::Key(KeyRefused::Revoked)));
}
