//! What can be checked from Spark alone: a cell for a notebook.

use crate::azure::machine_learning::Workspace;

/// The host name by which clients of a workspace reach it: its GUID below the API of its region (Microsoft: "Use custom DNS"). The domain
/// is the one that the workspace itself names, so that it fits every cloud.
pub(super) fn host(shown: &Workspace) -> Option<String> {
    let properties = &shown.properties;
    let url = properties.discovery_url.as_deref()?.strip_prefix("https://")?;
    let (api, id) = (url.split(['/', ':']).next()?, properties.workspace_id.as_deref()?);
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    // It goes into code that people run.
    (plain(api) && plain(id)).then(|| format!("{id}.workspace.{api}"))
}

/// A cell that checks the link from Spark. The call is that of Microsoft's page "How to securely integrate Azure Machine Learning and Azure
/// Synapse".
pub(super) fn cell(linked_service: &str, host: Option<&str>, workspace: &str) -> String {
    let resolve = host.map_or_else(String::new, |host| {
        format!(
            "import ipaddress, socket\n\
             address = socket.gethostbyname(\"{host}\")\n\
             assert ipaddress.ip_address(address).is_private, f\"{host} leads to {{address}}, which is public\"\n"
        )
    });
    format!(
        "{resolve}from notebookutils.mssparkutils import azureML\n\
         workspace = azureML.getWorkspace(\"{linked_service}\")\n\
         assert workspace.name == \"{workspace}\", workspace.name\n\
         print(workspace.name)\n"
    )
}
