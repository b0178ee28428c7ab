//! Who gets which partition: by count, and whoever had one keeps it where that is even.

/// Shares `owners.len()` partitions out among `members`, numbers of pods in ascending order.
///
/// Sticky as Kafka's cooperative assignor: every member gets the same number of partitions or one
/// more, and as few as possible change hands.
pub(super) fn assign(owners: &mut [Option<usize>], members: &[usize]) {
    let mut counts = vec![0_usize; members.len()];
    for owner in owners.iter_mut() {
        let member = owner.and_then(|pod| members.binary_search(&pod).ok());
        match member {
            Some(member) => counts[member] += 1,
            None => *owner = None,
        }
    }
    if members.is_empty() {
        return;
    }
    let (even, extra) = (owners.len() / members.len(), owners.len() % members.len());
    // One more is for those who have the most now.
    let mut ranked: Vec<usize> = (0..members.len()).collect();
    ranked.sort_by_key(|&member| (std::cmp::Reverse(counts[member]), member));
    let mut quotas = vec![even; members.len()];
    for &member in ranked.iter().take(extra) {
        quotas[member] += 1;
    }
    let mut free = Vec::new();
    for (partition, owner) in owners.iter_mut().enumerate() {
        let member = owner.and_then(|pod| members.binary_search(&pod).ok());
        match member {
            Some(member) if counts[member] > quotas[member] => {
                counts[member] -= 1;
                free.push(partition);
            }
            Some(_) => {}
            None => free.push(partition),
        }
    }
    let mut free = free.into_iter();
    for (member, &pod) in members.iter().enumerate() {
        for partition in free.by_ref().take(quotas[member] - counts[member]) {
            owners[partition] = Some(pod);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::random::Random;

    #[test]
    fn shares_are_even_and_as_few_as_possible_move() {
        let mut random = Random::new(1, 1);
        for _ in 0..500 {
            let partitions = 1 + (random.uniform() * 60.0) as usize;
            let draw = |random: &mut Random, share: f64| -> Vec<usize> {
                (0..30).filter(|_| random.uniform() < share).collect()
            };
            let before = draw(&mut random, 0.5);
            let mut owners = vec![None; partitions];
            assign(&mut owners, &before);
            let had = owners.clone();
            let share = random.uniform();
            let members = draw(&mut random, share);
            assign(&mut owners, &members);
            if members.is_empty() {
                assert!(owners.iter().all(Option::is_none));
                continue;
            }
            let count = |owners: &[Option<usize>], pod| {
                owners.iter().filter(|&&owner| owner == Some(pod)).count()
            };
            let (even, extra) = (partitions / members.len(), partitions % members.len());
            let counts: Vec<usize> = members.iter().map(|&pod| count(&owners, pod)).collect();
            assert!(counts.iter().all(|&n| n == even || n == even + 1));
            assert_eq!(counts.iter().sum::<usize>(), partitions);
            // The most that could have stayed where they were.
            let mut kept: Vec<usize> = members.iter().map(|&pod| count(&had, pod)).collect();
            kept.sort_by_key(|&n| std::cmp::Reverse(n));
            let quota = |rank: usize| even + usize::from(rank < extra);
            let stay: usize = kept.iter().enumerate().map(|(i, &n)| n.min(quota(i))).sum();
            let stayed = had
                .iter()
                .zip(&owners)
                .filter(|(a, b)| a == b && a.is_some());
            assert_eq!(stayed.count(), stay);
        }
    }
}
