//! The operator's command line.
fn main() {
    for crd in aml_operator::api::definitions() {
        println!("---\n{}", serde_saphyr::to_string(&crd).unwrap_or_default());
    }
}
