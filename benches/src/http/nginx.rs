//! nginx with the settings that serve one small answer best.

use super::{CACHE_CONTROL, ETAG, PATH};
use crate::process::{self, Server};
use anyhow::{Context as _, Result, ensure};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// The location that answers from a file, which is written for it. nginx makes the tag.
pub(crate) fn file(folder: &Path, body: &[u8]) -> Result<String> {
    let root = folder.join("root");
    let target = root.join(PATH.trim_start_matches('/'));
    let parent = target.parent().context("a path has a parent")?;
    std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&target, body))?;
    Ok(format!(
        "location / {{ root \"{}\"; default_type application/json; add_header Cache-Control \"{CACHE_CONTROL}\"; }}",
        root.display()
    ))
}

/// The location that answers from the configuration, with these headers besides its own.
pub(crate) fn memory(body: &[u8], more: &str) -> Result<String> {
    let body = std::str::from_utf8(body).context("the body is no text")?;
    ensure!(
        !body.contains(['\'', '$', '\\']),
        "the body cannot be put into a configuration of nginx"
    );
    let headers =
        format!("add_header Cache-Control \"{CACHE_CONTROL}\"; add_header ETag '{ETAG}'; {more}");
    Ok(format!(
        "location = {PATH} {{ default_type application/json; {headers}\n\
         if ($http_if_none_match = '{ETAG}') {{ {headers} return 304; }}\n\
         return 200 '{body}'; }}"
    ))
}

/// What makes nginx send every header of another answer that it does not send anyway. A request
/// id is made anew for every request there too.
pub(crate) fn headers_of(head: &str) -> String {
    let own = [
        "cache-control",
        "content-length",
        "content-type",
        "date",
        "etag",
        "connection",
    ];
    let mut more = String::new();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if own.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            continue;
        }
        let value = if name.eq_ignore_ascii_case("x-request-id") {
            "$request_id"
        } else {
            value
        };
        // Writing to a String cannot fail.
        let _ = write!(more, "add_header {name} \"{value}\"; ");
    }
    more
}

/// Starts nginx with one location.
pub(crate) fn start(
    core: Option<usize>,
    folder: &Path,
    name: &str,
    location: &str,
) -> Result<Server> {
    let address = process::free_address()?;
    let prefix = folder.join(format!("nginx-{name}"));
    std::fs::create_dir_all(&prefix)?;
    let file = prefix.join("nginx.conf");
    std::fs::write(&file, configuration(address, location))?;
    let mut command = process::command(core, process::find("nginx"));
    command
        .arg("-p")
        .arg(&prefix)
        .arg("-c")
        .arg(&file)
        .args(["-e", "stderr"]);
    Server::start(command, address, PATH)
}

/// One process in the foreground, so that its use of CPU is that of one id.
fn configuration(address: SocketAddr, location: &str) -> String {
    format!(
        "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
         access_log off; sendfile on; tcp_nodelay on; server_tokens off;\n\
         keepalive_timeout 75s; keepalive_requests 1000000000;\n\
         open_file_cache max=100 inactive=600s; open_file_cache_valid 600s;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{ listen {address}; {location} }}\n\
         }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_nginx_sends_anyway_are_not_sent_twice() {
        let head =
            "HTTP/1.1 200 OK\r\netag: \"1\"\r\nx-request-id: 7\r\na-b: 'c'; d\r\nDate: now\r\n\r\n";
        assert_eq!(
            headers_of(head),
            "add_header x-request-id \"$request_id\"; add_header a-b \"'c'; d\"; "
        );
    }
}
