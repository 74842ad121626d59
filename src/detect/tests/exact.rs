//! The alert log depends on what happened and on nothing else: not on partitions, cuts, order or restarts.

use super::*;

/// Two hours in which something of every sort happens.
fn story() -> Vec<Line> {
    let mut lines = traffic(0, 3600, "v1", "v1");
    lines.extend(traffic(3600, 7200, "v2", "v1"));
    for second in 3630..5400_i64 {
        let host = format!("mw{}", 1 + second % 12);
        let error =
            |at, text: &str| line(at, "exception", Level::Error, text, &host).on("v2", "group1");
        lines.push(error(second * 1000, "Cannot load session"));
        if second % 45 == 0 {
            lines.push(error(second * 1000 + 3, "Rare but new"));
        }
        if second > 4200 {
            lines.push(error(second * 1000 + 500, "Lock wait timeout"));
        }
        if (4800..4860).contains(&second) {
            for n in 0..5 {
                let at = second * 1000 + n * 150;
                let it = line(
                    at,
                    "exception",
                    Level::Error,
                    "No localisation cache",
                    "mw7",
                );
                lines.push(it.on("v1", "group2"));
            }
        }
    }
    for second in 600..7000_i64 {
        // Texts of one message, a new one every ten minutes, some of them on the new release first.
        let host = format!("mw{}", 1 + second % 12);
        let topic = (b'a' + u8::try_from(second % (1 + second / 600)).unwrap()) as char;
        let text = format!("Lost the leader of topic {topic}.events, retrying");
        let it = line(second * 1000 + 7, "exception", Level::Error, &text, &host);
        let version = if second < 3600 { "v1" } else { "v2" };
        lines.push(it.on(version, "group1"));
        if second > 5000 && second % 7 == 0 {
            let text = format!("Cannot fetch the page of host{topic}: No route");
            let it = line(second * 1000 + 8, "exception", Level::Error, &text, &host);
            lines.push(it.on("v2", "group1"));
        }
    }
    for n in 0..24_u8 {
        for second in 5000..5060 {
            let name = format!("Broken part {}", (b'a' + n) as char);
            let it = line(second * 1000, "fatal", Level::Critical, &name, "mw9");
            lines.push(it.on("v2", "group1"));
        }
    }
    lines.sort_by_key(|it| it.at);
    lines
}

/// A small deterministic random source (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }
}

/// How a story is delivered.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    seed: u64,
    partitions: usize,
    cut_max: usize,
    shuffled: bool,
    restarts: bool,
}

fn rows_into(
    state: &mut BTreeMap<(String, Vec<u8>), Vec<u8>>,
    checkpoint: &crate::detect::Checkpoint,
) {
    for row in &checkpoint.rows {
        let key = (row.kind.to_owned(), row.key.clone());
        match &row.value {
            Some(value) => state.insert(key, value.clone()),
            None => state.remove(&key),
        };
    }
}

fn number(partition: usize) -> i32 {
    i32::try_from(partition).unwrap()
}

fn deliver(lines: &[Line], how: Delivery) -> (Vec<AlertTransition>, World) {
    let rules = rules("");
    let mut random = Random(how.seed);
    let mut world = World::new(Arc::clone(&rules));
    let mut queues: Vec<Vec<Line>> = vec![Vec::new(); how.partitions];
    for it in lines {
        queues[random.below(how.partitions)].push(it.clone());
    }
    if how.shuffled {
        // Within a window of 4 s, below disorder_max.
        for queue in &mut queues {
            let mut keyed: Vec<(i64, Line)> = queue
                .drain(..)
                .map(|it| (it.at + i64::try_from(random.below(4_000)).unwrap(), it))
                .collect();
            keyed.sort_by_key(|it| it.0);
            queue.extend(keyed.into_iter().map(|it| it.1));
        }
    }
    for partition in 0..how.partitions {
        world.set_idle("s", "t", number(partition), false);
    }
    let mut at = vec![0_usize; how.partitions];
    let mut marks = vec![i64::MIN; how.partitions];
    let mut log = Vec::new();
    let mut state = BTreeMap::new();
    while (0..how.partitions).any(|it| at[it] < queues[it].len()) {
        // The partition that is furthest behind in time, so that buckets do not pile up; cuts at random.
        let open = (0..how.partitions).filter(|it| at[*it] < queues[*it].len());
        let one = open.min_by_key(|it| queues[*it][at[*it]].at).unwrap();
        let from = at[one];
        let to = (from + 1 + random.below(how.cut_max)).min(queues[one].len());
        let part = &queues[one][from..to];
        marks[one] = part.iter().map(|it| it.at).max().unwrap().max(marks[one]);
        let mark = EventTime::from_millis(START * 1000 + marks[one]);
        world.apply(&batch(number(one), from as u64, part, mark));
        at[one] = to;
        if to == queues[one].len() {
            world.set_idle("s", "t", number(one), true);
        }
        if let Some(watermark) = world.watermark() {
            world.advance(watermark);
        }
        if how.restarts && random.below(12) == 0 {
            let checkpoint = world.take_checkpoint();
            rows_into(&mut state, &checkpoint);
            log.extend(checkpoint.transitions);
            let rows = state
                .iter()
                .map(|((kind, key), value)| (kind.clone(), key.clone(), value.clone()));
            world = World::restore(Arc::clone(&rules), rows, checkpoint.positions).unwrap();
        }
    }
    world.finish();
    log.extend(world.take_checkpoint().transitions);
    (log, world)
}

const PLAIN: Delivery = Delivery {
    seed: 1,
    partitions: 1,
    cut_max: 5_000,
    shuffled: false,
    restarts: false,
};

fn text(log: &[AlertTransition]) -> String {
    log.iter()
        .map(|it| serde_json::to_string(it).unwrap() + "\n")
        .collect()
}

/// Compares two logs and shows the first entry that differs.
fn assert_same(log: &str, expected: &str, how: Delivery) {
    for (mine, theirs) in log.lines().zip(expected.lines()) {
        assert_eq!(mine, theirs, "{how:?}");
    }
    assert_eq!(log.lines().count(), expected.lines().count(), "{how:?}");
}

#[test]
fn the_alert_log_does_not_depend_on_partitions_cuts_or_order() {
    let lines = story();
    let expected = text(&deliver(&lines, PLAIN).0);
    assert!(expected.lines().count() > 20, "{expected}");
    for (seed, partitions) in [(2, 1), (3, 3), (4, 6)] {
        for shuffled in [false, true] {
            let how = Delivery {
                seed,
                partitions,
                cut_max: 700,
                shuffled,
                restarts: false,
            };
            assert_same(&text(&deliver(&lines, how).0), &expected, how);
        }
    }
}

#[test]
fn a_world_restored_at_any_batch_goes_on_exactly() {
    let lines = story();
    let (expected, world) = deliver(&lines, PLAIN);
    assert!(world.counts().aliases >= 10, "{:?}", world.counts());
    for seed in 10..14 {
        let how = Delivery {
            seed,
            partitions: 2,
            cut_max: 900,
            shuffled: true,
            restarts: true,
        };
        let (log, restored) = deliver(&lines, how);
        assert_same(&text(&log), &text(&expected), how);
        assert_eq!(restored.accounting().total, world.accounting().total);
        let all = super::super::SignatureQuery::default();
        assert_eq!(restored.signatures(&all), world.signatures(&all));
        assert_eq!(restored.channels(), world.channels());
        assert_eq!(restored.releases(), world.releases());
        assert_eq!(restored.counts().aliases, world.counts().aliases);
        for row in world.signatures(&all).rows {
            assert_eq!(restored.signature(row.id), world.signature(row.id));
        }
    }
}

#[test]
fn a_batch_that_comes_twice_counts_once() {
    let lines = traffic(0, 60, "v1", "v1");
    let mut world = World::new(rules(""));
    let one = batch(0, 0, &lines, time(60));
    assert_eq!(world.apply(&one), Applied::Counted);
    assert_eq!(world.apply(&one), Applied::Duplicate);
    world.finish();
    assert_eq!(world.accounting().total.read, lines.len() as u64);
    assert_eq!(world.accounting().partitions[0].duplicates, 1);
}

#[test]
fn late_records_are_added_to_the_history_and_alert_nobody() {
    let mut feed = Feed::new(&rules(""));
    feed.play(traffic(0, 3600, "v1", "v1"), 3600);
    let late: Vec<Line> = (0..200)
        .map(|n| line(1_800_000 + n * 10, "exception", Level::Error, "Late", "mw1"))
        .collect();
    let batch = batch(0, feed.next, &late, time(3600));
    feed.world.apply(&batch);
    feed.world.advance(time(3700));
    assert!(feed.world.take_transitions().is_empty());
    let id = batch.signatures[0].id;
    assert_eq!(feed.world.signature(id).unwrap().summary.total, 200);
    let points = feed.world.take_checkpoint().series;
    let mine: u64 = points
        .iter()
        .filter(|it| it.signature == id)
        .map(|it| it.events)
        .sum();
    assert_eq!(mine, 200);
}

#[test]
fn a_long_pause_is_skipped_in_no_time() {
    let mut feed = Feed::new(&rules(""));
    let mut lines = traffic(0, 60, "v1", "v1");
    let decade = 10 * 365 * 86_400;
    lines.extend(traffic(decade, decade + 60, "v1", "v1"));
    feed.play(lines, decade + 60);
    assert_eq!(feed.world.clock(), Some(time(decade + 60)));
    assert_eq!(feed.world.counts().open_buckets, 0);
}
