//! Kubernetes quantities, as numbers, and of memory as bytes.

/// The bytes of a quantity such as `128Mi`, `0.5Gi`, `1e9` or `134217728`; a part of a byte counts
/// as one. None if it is not a quantity or more than 2^64.
pub fn bytes(text: &str) -> Option<u64> {
    let bytes = amount(text)?.ceil();
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// The number that a quantity is, such as 0.02 for `20m`. None if it is not a quantity.
pub fn amount(text: &str) -> Option<f64> {
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '+'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let scale: f64 = match suffix {
        "" => 1.0,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        exponent if exponent.starts_with(['e', 'E']) => {
            10f64.powi(exponent[1..].parse::<i32>().ok()?)
        }
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    let amount = number * scale;
    (amount.is_finite() && amount >= 0.0).then_some(amount)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn quantities_are_bytes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("134217728", Some(128 << 20)),
            ("128Mi", Some(128 << 20)),
            ("0.5Gi", Some(512 << 20)),
            ("1.5k", Some(1500)),
            ("1e9", Some(1_000_000_000)),
            ("1E3", Some(1000)),
            ("2E", Some(2_000_000_000_000_000_000)),
            ("100m", Some(1)),
            ("", None),
            ("Mi", None),
            ("-1", None),
            ("1.2.3", None),
            ("12 Mi", None),
            ("12MB", None),
            ("1e999", None),
            ("9e99", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
