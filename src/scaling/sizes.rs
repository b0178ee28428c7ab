//! The sizes that are worth ordering.
//!
//! With partitions handed out by count the busiest of `n` pods has `ceil(P / n)` of them. Only
//! sizes that lower this number add capacity for the worst-off partition.

/// `{ ceil(P / m) }`, ascending: for 12 partitions 1, 2, 3, 4, 6, 12.
pub(super) fn useful(partitions: u32) -> Vec<u32> {
    let mut sizes = Vec::new();
    let mut n = 1;
    while n <= partitions {
        sizes.push(n);
        let busiest = partitions.div_ceil(n);
        if busiest == 1 {
            break;
        }
        // The smallest size with which the busiest pod has one partition less.
        n = partitions.div_ceil(busiest - 1);
    }
    sizes
}

/// Records per second that `pods` can do together, where one pod alone can do `per_pod` and the
/// load is spread over all partitions.
pub(super) fn capacity(pods: u32, per_pod: f64, partitions: u32) -> f64 {
    if pods == 0 || partitions == 0 {
        return 0.0;
    }
    let busiest = partitions.div_ceil(pods);
    per_pod * f64::from(partitions) / f64::from(busiest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sizes_that_lower_the_busiest_share_are_useful() {
        assert_eq!(useful(12), [1, 2, 3, 4, 6, 12]);
        assert_eq!(useful(48), [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 48]);
        assert_eq!(useful(7), [1, 2, 3, 4, 7]);
        assert_eq!(useful(1), [1]);
        assert!(useful(0).is_empty());
        for partitions in 1..200_u32 {
            let mut all: Vec<u32> = (1..=partitions).map(|m| partitions.div_ceil(m)).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(useful(partitions), all, "{partitions} partitions");
        }
    }

    #[test]
    fn pods_that_do_not_lower_the_busiest_share_add_no_capacity() {
        assert_eq!(capacity(6, 100.0, 12), 600.0);
        assert_eq!(capacity(7, 100.0, 12), 600.0);
        assert_eq!(capacity(12, 100.0, 12), 1200.0);
        assert_eq!(capacity(24, 100.0, 12), 1200.0);
        assert_eq!(capacity(0, 100.0, 12), 0.0);
    }
}
