//! A headless Chromium that belongs to the lab's client: it runs in the client's network, knows the site's names as the
//! client does, and trusts the authorities of its own profile. Driven by chromedriver's WebDriver protocol (W3C), as little
//! of it as a form needs.

use serde_json::{Value, json};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

const PORT: u16 = 9515;
/// What a found element is called in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// Its home directory: profile, certificates, log.
    home: PathBuf,
}

impl Browser {
    /// Starts one as the client of a lab; `from` is the address that it is driven from.
    pub fn start(lab: &str, client: Ipv4Addr, from: Ipv4Addr, dir: &Path, authority: &Path) -> Self {
        let home = dir.join("browser");
        let _ = fs::remove_dir_all(&home);
        let store = home.join(".pki/nssdb");
        fs::create_dir_all(&store).unwrap();
        let store = format!("sql:{}", store.display());
        run("certutil", &["-d", &store, "-N", "--empty-password"]);
        run("certutil", &["-d", &store, "-A", "-t", "C,,", "-n", "site", "-i", authority.to_str().unwrap()]);
        let log = fs::File::create(home.join("chromedriver.log")).unwrap();
        let driver = Command::new("ip")
            .args(["netns", "exec", &format!("foobar-lab-{lab}"), "chromedriver"])
            .args([format!("--port={PORT}"), format!("--allowed-ips={from}"), "--allowed-origins=*".into()])
            .env("HOME", &home)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("ip, of iproute2");
        let mut browser = Self { driver, address: (client, PORT).into(), session: String::new(), home };
        assert!(
            super::world::until(Duration::from_secs(20), || TcpStream::connect_timeout(
                &browser.address,
                Duration::from_millis(200)
            )
            .is_ok()),
            "chromedriver does not listen: {}",
            browser.log()
        );
        let profile = browser.home.join("profile");
        // As root there is no sandbox; what would look for its maker's servers is off. Certificate errors are errors.
        let words = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1000,1200",
        ];
        let words: Vec<String> =
            words.iter().map(|w| (*w).to_owned()).chain([format!("--user-data-dir={}", profile.display())]).collect();
        let wish = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "acceptInsecureCerts": false, "goog:chromeOptions": { "args": words },
        } } });
        let made =
            browser.call("POST", "/session", &wish).unwrap_or_else(|e| panic!("no browser: {e}\n{}", browser.log()));
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.join("chromedriver.log")).unwrap_or_default()
    }

    /// Opens an address; what the browser would show as an error page is the error.
    pub fn open(&self, url: &str) -> Result<(), String> {
        self.command("POST", "url", &json!({ "url": url })).map(drop)
    }

    /// Makes the page as wide and high as that, in CSS pixels, on a ground that is light or dark.
    pub fn look(&self, width: u32, height: u32, scheme: &str) {
        let cdp = |cmd: &str, params: Value| {
            let body = json!({ "cmd": cmd, "params": params });
            self.command("POST", "goog/cdp/execute", &body).unwrap_or_else(|e| panic!("{cmd}: {e}"));
        };
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        cdp("Emulation.setDeviceMetricsOverride", size);
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        cdp("Emulation.setEmulatedMedia", features);
    }

    /// What a script says in the page.
    pub fn script(&self, text: &str) -> Value {
        self.command("POST", "execute/sync", &json!({ "script": text, "args": [] }))
            .unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    /// Types into the element that a selector finds, as a user's keyboard would.
    pub fn write(&self, selector: &str, text: &str) {
        let id = self.find(selector);
        self.command("POST", &format!("element/{id}/value"), &json!({ "text": text })).unwrap();
    }

    /// Clicks on the element that a selector finds.
    pub fn click(&self, selector: &str) {
        let id = self.find(selector);
        self.command("POST", &format!("element/{id}/click"), &json!({})).unwrap();
    }

    /// The text that the page shows.
    pub fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// What it looks like, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        use base64::Engine as _;
        let picture = self.command("GET", "screenshot", &Value::Null).unwrap();
        base64::engine::general_purpose::STANDARD.decode(picture.as_str().unwrap_or_default()).unwrap()
    }

    fn find(&self, selector: &str) -> String {
        let found = self.command("POST", "element", &json!({ "using": "css selector", "value": selector }));
        let found = found.unwrap_or_else(|e| panic!("{selector}: {e}\nthe page says: {}", self.text()));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        self.call(method, &format!("/session/{}/{path}", self.session), body)
    }

    /// One request of the protocol; its error's message is the error.
    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let failed = |e: std::io::Error| format!("{method} {path}: {e}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(self.address).map_err(failed)?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(failed)?;
        let host = self.address;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        );
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).map_err(failed)?;
        let mut answer = Vec::new();
        // Whether the driver closes the connection or not: it says how long its answer is.
        let mut part = [0; 65536];
        loop {
            if let Some(body) = whole(&answer) {
                let answer: Value =
                    serde_json::from_slice(body).map_err(|e| format!("{e}: {}", String::from_utf8_lossy(body)))?;
                return match answer["value"]["error"].as_str() {
                    Some(error) => Err(format!("{error}: {}", answer["value"]["message"].as_str().unwrap_or_default())),
                    None => Ok(answer["value"].clone()),
                };
            }
            match stream.read(&mut part).map_err(failed)? {
                0 => return Err(format!("{method} {path}: half an answer: {}", String::from_utf8_lossy(&answer))),
                n => answer.extend_from_slice(&part[..n]),
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The body of an answer that has come whole.
fn whole(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let length: usize = head.lines().find_map(|l| l.strip_prefix("content-length:"))?.trim().parse().ok()?;
    answer.get(end..end + length)
}

fn run(program: &str, words: &[&str]) {
    let done = Command::new(program).args(words).stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|e| panic!("{program}: {e}; tests/run installs it"));
    assert!(done.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&done.stderr));
}
