//! Names nearest to one that is not known.

/// How many are told.
const NEAREST: usize = 4;

/// Jaro-Winkler similarity below this is no similarity.
const SIMILAR: f64 = 0.8;

/// The nearest ones, best first; none where nothing is similar.
pub fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(f64, &str)> = known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup_by_key(|(_, known)| *known);
    near.into_iter().take(NEAREST).map(|(_, known)| known).collect()
}

/// What to say after "no such name": which names are near, or where all stand.
pub fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = near(name, known);
    if near.is_empty() {
        return "`evercall rules --calls` lists all".to_string();
    }
    format!("did you mean {}?", near.join(", "))
}
