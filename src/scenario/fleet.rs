//! The machines and wikis of a scenario, with their weights.
//!
//! Invariant: every index handed out here is valid for as long as the fleet lives.

use std::collections::BTreeMap;

use super::file::{Family, Pool, ScenarioFile, Wikis};
use super::random::{Weighted, mix_text};

/// One machine.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) servergroup: String,
    pub(crate) pool: String,
    pub(crate) weight: f64,
    /// A fixed number of its own, for whatever has to differ from host to host.
    pub(crate) salt: u64,
}

/// One wiki.
#[derive(Clone, Debug)]
pub(crate) struct Wiki {
    pub(crate) name: String,
    pub(crate) server: String,
    pub(crate) group: usize,
    pub(crate) unit: usize,
    pub(crate) section: String,
    pub(crate) weight: f64,
}

/// All machines and wikis.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) hosts: Vec<Host>,
    pub(crate) wikis: Vec<Wiki>,
    pub(crate) groups: Vec<String>,
    pub(crate) units: Vec<String>,
    /// For each group: its wikis, and the table to pick one.
    by_group: Vec<(Vec<usize>, Weighted)>,
}

/// Database section of wikis that no table names.
const SECTION_DEFAULT: &str = "s3";

impl Fleet {
    /// Builds the fleet; returns what is wrong otherwise.
    pub(crate) fn new(file: &ScenarioFile, problems: &mut Vec<String>) -> Self {
        let mut fleet = Self {
            groups: file.shares.keys().cloned().collect(),
            ..Self::default()
        };
        for pool in &file.pool {
            fleet.add_pool(pool, problems);
        }
        let sections: BTreeMap<&str, &str> = file
            .section
            .iter()
            .flat_map(|section| {
                let name = section.name.as_str();
                section.wikis.iter().map(move |wiki| (wiki.as_str(), name))
            })
            .collect();
        for wikis in &file.wikis {
            fleet.add_wikis(wikis, &file.languages, problems);
        }
        for wiki in &mut fleet.wikis {
            let section = sections.get(wiki.name.as_str()).unwrap_or(&SECTION_DEFAULT);
            (*section).clone_into(&mut wiki.section);
        }
        for group in 0..fleet.groups.len() {
            let of_group = |it: &usize| fleet.wikis.get(*it).is_some_and(|it| it.group == group);
            let places: Vec<usize> = (0..fleet.wikis.len()).filter(of_group).collect();
            let weights: Vec<f64> = places
                .iter()
                .filter_map(|&it| fleet.wikis.get(it))
                .map(|it| it.weight)
                .collect();
            if places.is_empty() {
                let name = fleet.groups.get(group).cloned().unwrap_or_default();
                problems.push(format!(
                    "[shares] names the group `{name}`, which has no wikis"
                ));
            }
            let table = Weighted::new(&weights);
            fleet.by_group.push((places, table));
        }
        fleet
    }

    /// Returns the wikis of a group and the table to pick one.
    pub(crate) fn group_wikis(&self, group: usize) -> Option<&(Vec<usize>, Weighted)> {
        self.by_group.get(group)
    }

    /// Returns the index of a group.
    pub(crate) fn group(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|it| it == name)
    }

    /// Returns the index of a unit.
    pub(crate) fn unit(&self, name: &str) -> Option<usize> {
        self.units.iter().position(|it| it == name)
    }

    /// Returns the index of a wiki.
    pub(crate) fn wiki(&self, name: &str) -> Option<usize> {
        self.wikis.iter().position(|it| it.name == name)
    }

    /// Lists the hosts of a pool, or the one host of that name.
    pub(crate) fn hosts_of(&self, name: &str) -> impl Iterator<Item = usize> {
        (0..self.hosts.len()).filter(move |&it| {
            self.hosts
                .get(it)
                .is_some_and(|it| it.pool == name || it.name == name)
        })
    }

    fn add_pool(&mut self, pool: &Pool, problems: &mut Vec<String>) {
        for text in &pool.hosts {
            let Some(names) = expand(text) else {
                problems.push(format!(
                    "[[pool]] `{}`: `{text}` is no host name or range such as `mw1017-1025`",
                    pool.name
                ));
                continue;
            };
            for name in names {
                self.hosts.push(Host {
                    salt: mix_text(&name),
                    name,
                    servergroup: pool.servergroup.clone(),
                    pool: pool.name.clone(),
                    weight: pool.weight,
                });
            }
        }
    }

    fn add_wikis(&mut self, wikis: &Wikis, languages: &str, problems: &mut Vec<String>) {
        let Some(group) = self.group(&wikis.group) else {
            problems.push(format!(
                "[[wikis]] names the group `{}`, which has no share in [shares]",
                wikis.group
            ));
            return;
        };
        let unit_name = wikis.unit.as_ref().unwrap_or(&wikis.group);
        let unit = self.unit(unit_name).unwrap_or_else(|| {
            self.units.push(unit_name.clone());
            self.units.len() - 1
        });
        let mut push = |name: String, server: String, weight: f64| {
            self.wikis.push(Wiki {
                name,
                server,
                group,
                unit,
                section: String::new(),
                weight,
            });
        };
        for (place, text) in wikis.names.iter().enumerate() {
            let (name, server) = text.split_once('=').unwrap_or((text, "localhost"));
            let weight = wikis.weights.get(place).copied().unwrap_or(1.0);
            push(name.to_owned(), server.to_owned(), weight);
        }
        if let Some(family) = &wikis.family {
            let found = add_family(family, languages, &mut push);
            if found < family.count {
                problems.push(format!(
                    "[[wikis]] family `{}` wants {} wikis, but `languages` gives {found}",
                    family.suffix, family.count
                ));
            }
        }
    }
}

fn add_family(
    family: &Family,
    languages: &str,
    push: &mut impl FnMut(String, String, f64),
) -> usize {
    let chosen: Vec<&str> = languages
        .split_whitespace()
        .filter(|it| !family.skip.iter().any(|skip| skip == it))
        .take(family.count)
        .collect();
    // Traffic falls with the rank a little faster than Zipf's law: the first wiki has about a third of it.
    let rank_weight = |rank: u32| 1.0 / f64::from(rank).powf(1.3);
    let sum: f64 = (1_u32..).zip(&chosen).map(|(it, _)| rank_weight(it)).sum();
    for (rank, language) in (1_u32..).zip(&chosen) {
        push(
            format!("{language}{}", family.suffix),
            format!("{}.{}", language.replace('_', "-"), family.domain),
            family.weight * rank_weight(rank) / sum,
        );
    }
    chosen.len()
}

/// Expands `mw1017-1025` to its names; a text without a range is one name.
fn expand(text: &str) -> Option<Vec<String>> {
    let Some((first, last)) = text.split_once('-') else {
        return (!text.is_empty()).then(|| vec![text.to_owned()]);
    };
    let prefix = first.trim_end_matches(|it: char| it.is_ascii_digit());
    let from: u32 = first.strip_prefix(prefix)?.parse().ok()?;
    let to: u32 = last.parse().ok()?;
    (from <= to && to - from < 10_000)
        .then(|| (from..=to).map(|it| format!("{prefix}{it}")).collect())
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn a_range_becomes_its_names() {
        assert_eq!(
            expand("mw1017-1019").unwrap(),
            ["mw1017", "mw1018", "mw1019"]
        );
        assert_eq!(expand("silver").unwrap(), ["silver"]);
        assert_eq!(expand("mw9-1"), None);
        assert_eq!(expand(""), None);
    }
}
