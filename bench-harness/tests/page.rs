//! The page in a real browser: it is drawn, its script runs without an error, and it looks like something.
//!
//! What was rendered stays in `target/tmp`, to be looked at.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench_harness::report::page::page;
use bench_harness::result::LoadResult;

/// Longer than Chromium takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(2);

/// Moves a pointer and presses a key over every picture, and notes down every error: `data-errors` and `data-tips`.
const PROBE: &str = r#"<script>
const tips = [...document.querySelectorAll(".plot")].map((plot) => {
  const box = plot.getBoundingClientRect();
  plot.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width * 0.6, clientY: box.top + 80 }));
  const pointed = plot.querySelector(".tip").textContent;
  plot.dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
  const last = plot.querySelector(".tip").textContent;
  plot.dispatchEvent(new Event("pointerleave"));
  return pointed && last && plot.querySelector(".tip").hidden ? "shown" : "missing";
});
document.documentElement.dataset.tips = tips.join(" ");
document.documentElement.dataset.overflow = document.documentElement.scrollWidth - innerWidth;
</script>"#;

const NOTE_ERRORS: &str = r#"<script>
document.documentElement.dataset.errors = "";
addEventListener("error", (event) => { document.documentElement.dataset.errors += event.message; });
addEventListener("securitypolicyviolation", (event) => { document.documentElement.dataset.errors += event.blockedURI; });
</script>"#;

fn sample() -> LoadResult {
    serde_json::from_str(include_str!("sample-result.json")).unwrap()
}

#[test]
fn a_browser_draws_the_curves_and_runs_the_script() {
    let dom = dom("one", &page("A run of the sample", &[("run", &sample())]), 1000);
    assert_eq!(attribute(&dom, "data-ready"), "yes", "the page's script did not reach its end");
    assert_eq!(attribute(&dom, "data-errors"), "");
    assert_eq!(attribute(&dom, "data-tips"), "shown shown shown shown");
    for label in ["corrected", "uncorrected", "planned", "succeeded", "failed", "p50", "p99", "maximum"] {
        let curve = dom.split("data-label=").find(|rest| rest.starts_with(&format!("\"{label}\" d=\"M")));
        let points = curve.unwrap_or_else(|| panic!("{label} has no curve")).split('"').nth(3).unwrap();
        assert!(points.matches('L').count() > 10, "{label}: {points}");
    }
}

#[test]
fn several_results_share_a_page() {
    let (one, mut other) = (sample(), sample());
    other.seconds.iter_mut().for_each(|second| {
        second.failed = 0;
        second.succeeded = second.planned;
        (second.p50_us, second.p99_us, second.max_us) =
            (second.p50_us / 2, second.p99_us / 3, second.max_us / 4);
    });
    other.latency.buckets.iter_mut().for_each(|bucket| bucket.us = bucket.us * 2 / 3);
    other.generator.bottleneck =
        Some("its busiest thread was on a CPU 99 % of the time; use more threads".into());
    let html = page("Two runs", &[("before <b>", &one), ("after", &other)]);
    let dom = dom("two", &html, 1000);
    assert_eq!(attribute(&dom, "data-ready"), "yes");
    assert_eq!(attribute(&dom, "data-errors"), "");
    assert_eq!(attribute(&dom, "data-tips"), "shown shown shown shown");
    assert!(
        dom.contains("data-label=\"after: corrected\"")
            && dom.contains("data-label=\"before &lt;b&gt;: corrected\"")
    );
}

#[test]
fn nothing_is_wider_than_a_phone() {
    let (one, mut other) = (sample(), sample());
    other.plan.target = format!("http://127.0.0.1:8088/{}", "long/".repeat(60));
    other.command = vec!["word".repeat(100)];
    let dom = dom("phone", &page("A run on a phone", &[("one", &one), ("other", &other)]), 500);
    assert_eq!(attribute(&dom, "data-tips"), "shown shown shown shown");
    let overflow: f64 = attribute(&dom, "data-overflow").parse().unwrap();
    assert!(overflow <= 0.0, "{overflow} pixels too wide");
}

#[test]
fn it_looks_different_in_the_dark_and_empty_in_neither() {
    let html = write("screenshot", &page("A run of the sample", &[("run", &sample())]));
    let pictures = [("light", 1), ("dark", 0)].map(|(name, scheme)| {
        let png = html.with_file_name(format!("page-{name}.png"));
        let _absent_is_fine = fs::remove_file(&png);
        chromium(&[
            &format!("--screenshot={}", png.display()),
            &format!("--blink-settings=preferredColorScheme={scheme}"),
            "--window-size=1000,3700",
            &url(&html),
        ]);
        fs::read(&png).unwrap()
    });
    for png in &pictures {
        assert!(png.starts_with(b"\x89PNG"));
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), (1000, 3700));
        // An empty page of this size takes a tenth of that.
        assert!(png.len() > 100_000, "{} bytes", png.len());
    }
    assert_ne!(pictures[0], pictures[1]);
}

/// The document after its scripts, at this width.
fn dom(name: &str, html: &str, width: u32) -> String {
    let html = html
        .replacen("<body>", &format!("<body>{NOTE_ERRORS}"), 1)
        .replace("</body>", &format!("{PROBE}</body>"));
    let file = write(name, &html);
    chromium(&["--dump-dom", &format!("--window-size={width},2000"), &url(&file)])
}

/// The value of an attribute of the root element.
fn attribute<'a>(dom: &'a str, name: &str) -> &'a str {
    let root = dom.split_once("<html").unwrap().1.split_once('>').unwrap().0;
    let value =
        root.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in <html{root}>")).1;
    value.split_once('"').unwrap().0
}

fn write(name: &str, html: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{name}.html"));
    fs::write(&file, html).unwrap();
    file
}

fn url(file: &Path) -> String {
    format!("file://{}", file.display())
}

/// Runs Chromium with a profile of its own and gives what it wrote to stdout.
fn chromium(arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let stdout = profile.path().join("stdout");
    let child = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--virtual-time-budget=2000"])
        .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&stdout).unwrap())
        .stderr(fs::File::create(profile.path().join("stderr")).unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("chromium: {error}; `make setup-test` installs it"));
    let ended = wait(child);
    let stderr = fs::read_to_string(profile.path().join("stderr")).unwrap_or_default();
    assert!(ended, "chromium did not end well:\n{stderr}");
    fs::read_to_string(stdout).unwrap()
}

/// Whether it ended with success; it is killed when it takes too long.
fn wait(mut child: Child) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}
