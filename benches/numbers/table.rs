//! What is measured, as one table.

pub(crate) const MIB: f64 = 1024.0 * 1024.0;

/// The lines of the table.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 4]>);

impl Table {
    /// A number with the number it is held to.
    pub(crate) fn held(&mut self, what: &str, measured: f64, decimals: usize, hold: &str, good: bool) {
        let verdict = if good { "holds" } else { "MISSED" };
        self.0.push([what.into(), format!("{measured:.decimals$}"), hold.into(), verdict.into()]);
    }

    /// A number that is only told.
    pub(crate) fn told(&mut self, what: &str, measured: String) {
        self.0.push([what.into(), measured, "-".into(), "-".into()]);
    }

    pub(crate) fn print(&self) {
        let header = ["measure", "measured", "hold", "verdict"].map(str::to_owned);
        let width = |column: usize| {
            let cells = self.0.iter().chain([&header]).map(|row| row[column].len());
            cells.max().unwrap_or_default()
        };
        let widths = [0, 1, 2, 3].map(width);
        let line = |row: &[String; 4]| {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            println!("| {} |", cells.join(" | "));
        };
        line(&header);
        line(&widths.map(|width| "-".repeat(width)));
        self.0.iter().for_each(line);
    }
}
