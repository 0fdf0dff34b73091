//! Where metrics can be asked for.

use super::{GOOD, Lab, assert_complaints};

fn with_address(address: &str) -> String {
    let line = format!("transport = \"xdp\"\nmetrics-address = \"{address}\"");
    GOOD.replace("transport = \"xdp\"", &line)
}

#[test]
fn metrics_are_where_the_file_says_and_else_nowhere() {
    let lab = Lab::new();
    assert_eq!(lab.load(GOOD).unwrap().settings.metrics_address, None);
    for (text, address) in [
        ("127.0.0.1", "127.0.0.1:14500"),
        ("[::1]:9000", "[::1]:9000"),
    ] {
        let loaded = lab.load(&with_address(text)).unwrap();
        let expected = address.parse().unwrap();
        assert_eq!(loaded.settings.metrics_address, Some(expected));
        let row = format!("  metrics    on http://{address}/metrics\n");
        assert!(loaded.to_string().contains(&row), "{loaded}");
    }
    assert_complaints(
        r#"transport = "xdp" => metrics-address = "localhost" => gateway.metrics-address: "#,
    );
}
