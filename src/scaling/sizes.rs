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

/// Pods' worth of work that `pods` can do together where the load is spread over all partitions:
/// with 5 pods for 12 partitions the busiest has a quarter of the load, so they are worth 4.
pub(super) fn worth(pods: u32, partitions: u32) -> f64 {
    if pods == 0 || partitions == 0 {
        return 0.0;
    }
    f64::from(partitions) / f64::from(partitions.div_ceil(pods))
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
    fn pods_that_do_not_lower_the_busiest_share_add_nothing() {
        assert_eq!(worth(6, 12), 6.0);
        assert_eq!(worth(7, 12), 6.0);
        assert_eq!(worth(12, 12), 12.0);
        assert_eq!(worth(24, 12), 12.0);
        assert_eq!(worth(0, 12), 0.0);
    }
}
