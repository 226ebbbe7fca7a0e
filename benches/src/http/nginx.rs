//! nginx with the settings that serve one small answer best.

use super::{CACHE_CONTROL, ETAG, PATH};
use crate::process::{self, Server};
use anyhow::{Context as _, Result, ensure};
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

/// The location that answers from the configuration.
pub(crate) fn memory(body: &[u8]) -> Result<String> {
    let body = std::str::from_utf8(body).context("the body is no text")?;
    ensure!(
        !body.contains(['\'', '$', '\\']),
        "the body cannot be put into a configuration of nginx"
    );
    let headers =
        format!("add_header Cache-Control \"{CACHE_CONTROL}\"; add_header ETag '{ETAG}';");
    Ok(format!(
        "location = {PATH} {{ default_type application/json; {headers}\n\
         if ($http_if_none_match = '{ETAG}') {{ {headers} return 304; }}\n\
         return 200 '{body}'; }}"
    ))
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
