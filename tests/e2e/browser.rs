//! A user: a browser on a client of the network, which resolves the site's name and trusts the exported authority.

use super::{
    webdriver::Browser,
    world::{World, until},
};
use std::{fs, net::Ipv4Addr, time::Duration};

/// Opens the site, signs the guestbook through its form, and reads the entry back.
pub fn a_user_signs_the_guestbook(w: &mut World) {
    w.converge();
    let authority = w.authority();
    let text = fs::read_to_string(&authority).unwrap();
    assert!(text.starts_with("-----BEGIN CERTIFICATE-----") && !text.contains("PRIVATE"), "{text}");
    let balancer = w.lab.address("lb-01").unwrap();
    w.lab.client_names(&[("www.foobar.com", balancer), ("foobar.com", balancer)]).unwrap();

    // By plain http, as it is typed: it ends at https.
    let [a, b, c, _] = balancer.octets();
    let (client, from) = (Ipv4Addr::new(a, b, c, 200), Ipv4Addr::new(a, b, c, 1));
    let lab = w.lab.status().name;
    let browser = Browser::start(&lab, client, from, &w.dir, &authority);
    browser.open("http://www.foobar.com/").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(browser.script("return location.href"), "https://www.foobar.com/");
    assert_eq!(browser.script("return window.isSecureContext"), true);
    let first = browser.text();
    assert!(first.contains("Guestbook") && first.contains("Welcome"), "{first}");

    // Characters of many kinds come back as they were.
    let message = format!("Grüße & <b>\"quotes\"</b>; $(true) '; DROP TABLE entries; -- {}", std::process::id());
    browser.write("input[name=name]", "A browser");
    browser.write("textarea[name=message]", &message);
    browser.click("form button");
    // The entry is written to the primary and read from the replica, which may be a moment behind.
    let came = until(Duration::from_secs(15), || {
        browser.text().contains(&message) || {
            browser.open("https://www.foobar.com/").unwrap_or_else(|e| panic!("{e}"));
            false
        }
    });
    let page = browser.text();
    assert!(came, "the entry does not come back: {page}");
    let said = page.replace('\n', " ").to_lowercase();
    assert!(said.contains("read from web-02"), "it is read from the replica: {page}");
    assert!(said.contains("taken down by web-0"), "{page}");
    // Static files come too, from the web server itself.
    let styled = browser.script("return getComputedStyle(document.querySelector('main')).maxWidth");
    assert_ne!(styled, "none", "the style sheet is not there");
    let both = until(Duration::from_secs(10), || {
        browser.open("https://www.foobar.com/").unwrap_or_else(|e| panic!("{e}"));
        let page = browser.text().replace('\n', " ").to_lowercase();
        page.contains("web server web-02")
    });
    assert!(both, "the other web server never answers");
    let picture = browser.screenshot();
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 5_000, "{} bytes", picture.len());
    let place = std::env::var_os("FOOBAR_E2E_PICTURES").map_or(w.dir.clone(), Into::into);
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join(format!("guestbook-{}.png", w.suite)), picture).unwrap();

    // A browser that trusts no such authority is told so: the trust above was earned.
    drop(browser);
    let stranger = w.dir.join("stranger.crt");
    let other = rcgen::generate_simple_self_signed(vec!["stranger.test".into()]).unwrap();
    fs::write(&stranger, other.cert.pem()).unwrap();
    let browser = Browser::start(&lab, client, from, &w.dir, &stranger);
    let said = browser.open("https://www.foobar.com/").err().unwrap_or_else(|| browser.text());
    assert!(said.contains("ERR_CERT_AUTHORITY_INVALID"), "a certificate that nobody trusts was accepted: {said}");
}
