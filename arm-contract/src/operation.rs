//! The operations of one provider's api-version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::dialects::swagger::{Swagger, Translation};
use crate::documents::Documents;
use crate::outcome::OperationKey;
use crate::shape::{Shape, ShapeId, Shapes, Slot};
use crate::template::Template;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];

/// An operation as it stands in its file.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) key: OperationKey,
    pub(crate) method: String,
    /// The path as the file spells it.
    pub(crate) path: String,
    pub(crate) template: Template,
    file: Arc<Path>,
    described: Value,
    /// Parameters, those of the path included, with references followed; each with the file that it stands in.
    parameters: Vec<(Arc<Path>, Value)>,
    /// What is needed for checks; made when first needed.
    compiled: Option<Arc<Compiled>>,
}

/// An operation, ready for checks.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    /// By status code.
    pub(crate) responses: BTreeMap<u16, Response>,
    /// What an error looks like if its status is not listed.
    pub(crate) default: Option<Response>,
    /// `x-ms-long-running-operation`.
    pub(crate) long_running: bool,
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) kind: ParameterKind,
    pub(crate) required: bool,
    pub(crate) shape: ShapeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    Path,
    Query,
    Header,
}

#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) slot: Slot,
    pub(crate) required: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Response {
    pub(crate) body: Option<Slot>,
}

impl Operation {
    /// All operations of some files of one api-version.
    pub(crate) fn read_all(
        namespace: &str,
        api_version: &str,
        files: &[PathBuf],
        documents: &mut Documents,
    ) -> Vec<Self> {
        let mut found = Vec::new();
        for path in files {
            let document = documents.read(path);
            let file: Arc<Path> = path.as_path().into();
            let base = document["basePath"].as_str().unwrap_or_default().trim_end_matches('/');
            for (path, item) in ["paths", "x-ms-paths"].iter().filter_map(|key| document[*key].as_object()).flatten() {
                let shared = parameters(&file, &item["parameters"], documents);
                let methods = METHODS.iter().filter_map(|method| Some((method, item.get(*method)?)));
                for (method, described) in methods {
                    let own = parameters(&file, &described["parameters"], documents);
                    let overridden = |(_, shared): &&(Arc<Path>, Value)| {
                        own.iter().any(|(_, own)| own["name"] == shared["name"] && own["in"] == shared["in"])
                    };
                    let inherited = shared.iter().filter(|shared| !overridden(shared)).cloned();
                    let parameters: Vec<_> = inherited.chain(own.iter().cloned()).collect();
                    let unescaped = |name: &str| {
                        parameters.iter().any(|(_, parameter)| {
                            parameter["name"] == name && parameter["x-ms-skip-url-encoding"] == true
                        })
                    };
                    let path = format!("{base}{path}");
                    let template = Template::parse(&path, unescaped);
                    // `/{roleId}` and the like are other names of operations whose paths say what they are about.
                    if template.literals() == 0 {
                        continue;
                    }
                    found.push(Self {
                        key: OperationKey {
                            namespace: namespace.to_owned(),
                            api_version: api_version.to_owned(),
                            operation_id: described["operationId"].as_str().unwrap_or(&path).to_owned(),
                        },
                        method: method.to_uppercase(),
                        template,
                        path,
                        file: file.clone(),
                        described: described.clone(),
                        parameters,
                        compiled: None,
                    });
                }
            }
        }
        found
    }

    /// The operation ready for checks.
    pub(crate) fn compiled(
        &mut self,
        swagger: &mut Swagger,
        documents: &mut Documents,
        shapes: &mut Shapes,
    ) -> Arc<Compiled> {
        if let Some(compiled) = &self.compiled {
            return compiled.clone();
        }
        let mut translation = Translation { swagger, documents, shapes };
        let mut compiled =
            Compiled { long_running: self.described["x-ms-long-running-operation"] == true, ..Compiled::default() };
        for (file, parameter) in &self.parameters {
            let required = parameter["required"] == true;
            let kind = match parameter["in"].as_str() {
                Some("path") => ParameterKind::Path,
                Some("query") => ParameterKind::Query,
                Some("header") => ParameterKind::Header,
                Some("body") => {
                    let slot = translation.slot(file, &parameter["schema"]);
                    compiled.body = Some(Body { slot, required });
                    continue;
                }
                _ => continue,
            };
            let shape: Shape = translation.plain(file, parameter);
            let shape = translation.shapes.add(shape);
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            compiled.parameters.push(Parameter { name, kind, required, shape });
        }
        for (status, response) in self.described["responses"].as_object().into_iter().flatten() {
            let (file, response) = translation.documents.followed(&self.file, response);
            let body = response.get("schema").map(|schema| translation.slot(&file, schema));
            match status.parse() {
                Ok(status) => _ = compiled.responses.insert(status, Response { body }),
                Err(_) => compiled.default = Some(Response { body }),
            }
        }
        self.compiled.insert(Arc::new(compiled)).clone()
    }
}

fn parameters(file: &Arc<Path>, list: &Value, documents: &mut Documents) -> Vec<(Arc<Path>, Value)> {
    list.as_array().into_iter().flatten().map(|parameter| documents.followed(file, parameter)).collect()
}
