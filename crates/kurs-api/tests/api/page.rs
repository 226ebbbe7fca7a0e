//! The web page and its files.

use crate::harness::{Harness, assert_problem};
use std::collections::BTreeSet;

#[tokio::test]
async fn the_page_is_at_the_root_and_everything_it_names_is_there() {
    let harness = Harness::start().await;
    let page = harness.get("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let text = page.text();
    assert!(text.contains("href=\"/docs\""), "it leads to the API");
    let named: BTreeSet<&str> = text
        .split(['"', '#'])
        .filter(|part| part.starts_with("/page/"))
        .collect();
    assert!(named.len() > 4, "{named:?}");
    for target in named {
        assert_eq!(harness.get(target).await.status, 200, "{target}");
    }
    assert!(harness.get("/docs").await.text().contains("href=\"/\""));
}

#[tokio::test]
async fn files_of_the_page_have_their_media_type_a_strong_tag_and_a_strict_policy() {
    let harness = Harness::start().await;
    for (target, media) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/kurs.css", "text/css; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let reply = harness.get(target).await;
        assert_eq!(reply.header("content-type"), Some(media), "{target}");
        assert_eq!(
            reply.header("content-security-policy"),
            Some("default-src 'self'; frame-ancestors 'none'"),
            "{target}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-cache"), "{target}");
        let etag = reply.header("etag").unwrap();
        assert!(etag.starts_with('"'), "{target}: {etag}");
        let again = harness
            .ask("GET", target, &format!("If-None-Match: {etag}\r\n"))
            .await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{target}");
    }
    for coding in ["gzip", "br", "zstd"] {
        let packed = harness
            .ask(
                "GET",
                "/page/kurs.css",
                &format!("Accept-Encoding: {coding}\r\n"),
            )
            .await;
        assert_eq!(packed.header("content-encoding"), Some(coding));
        assert!(packed.body.len() < 10_000, "{}", packed.body.len());
    }
}

#[tokio::test]
async fn only_the_files_of_the_page_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.js"), "1").unwrap();
    std::fs::write(folder.path().join("kurs.css"), "a { b: c }").unwrap();
    let within = folder.path().to_path_buf();
    let harness = Harness::with(|config| config.web_dir = Some(within)).await;
    let read = harness.get("/page/kurs.css").await;
    assert_eq!(read.text(), "a { b: c }", "read from the folder");
    assert_problem(&harness.get("/page/secret.js").await, 404, "unknown-route");
    assert_problem(&harness.get("/page/app.js").await, 404, "unknown-route");
    for wrong in [
        "/page/..%2Fkurs.css",
        "/page/kurs.toml",
        "/page/%2Fetc%2Fpasswd",
    ] {
        assert_eq!(harness.get(wrong).await.status, 400, "{wrong}");
    }
}
