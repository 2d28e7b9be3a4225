//! The table of host names: of every service the groups, their members and the names of these.

/// A host name: what public DNS makes an alias of it as soon as an endpoint is connected, `{record}.{zone}`, is what a
/// private zone answers for.
pub(super) struct Name {
    pub(super) host: &'static str,
    pub(super) zone: &'static str,
    pub(super) record: &'static str,
}

const fn name(host: &'static str, zone: &'static str, record: &'static str) -> Name {
    Name { host, zone, record }
}

/// One member of a service's group: it takes one address of the endpoint.
pub(super) struct Template {
    pub(super) member: &'static str,
    pub(super) names: &'static [Name],
}

const fn member(member: &'static str, names: &'static [Name]) -> Template {
    Template { member, names }
}

pub(super) struct Service {
    pub(super) kind: &'static str,
    pub(super) groups: &'static [&'static str],
    pub(super) members: &'static [Template],
}

const fn service(kind: &'static str, groups: &'static [&'static str], members: &'static [Template]) -> Service {
    Service { kind, groups, members }
}

pub(super) const WORKSPACE: &str = "Microsoft.MachineLearningServices/workspaces";
pub(super) const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const REGISTRY: &str = "Microsoft.ContainerRegistry/registries";
const COSMOS: &str = "Microsoft.DocumentDB/databaseAccounts";
const SYNAPSE: &str = "Microsoft.Synapse/workspaces";

/// What answers for a workspace itself, and for its computes.
pub(super) const WORKSPACE_ZONE: &str = "privatelink.api.azureml.ms";
pub(super) const WORKSPACE_RECORD: &str = "{guid}.workspace.{region}";

/// A Cosmos account has a name of its own and one in its region for each of its interfaces.
macro_rules! cosmos {
    ($group:literal, $domain:literal) => {
        service(
            COSMOS,
            &[$group],
            &[
                member("{name}", &[name(concat!("{name}.", $domain), concat!("privatelink.", $domain), "{name}")]),
                member(
                    "{name}-{region}",
                    &[name(concat!("{name}-{region}.", $domain), concat!("privatelink.", $domain), "{name}-{region}")],
                ),
            ],
        )
    };
}

/// A service with one member, which is called like its group or as stated, and one host name.
macro_rules! simple {
    ($kind:literal, $group:literal, $domain:literal) => {
        simple!($kind, $group, $group, $domain)
    };
    ($kind:expr, $group:literal, $member:literal, $domain:literal) => {
        service(
            $kind,
            &[$group],
            &[member($member, &[name(concat!("{name}.", $domain), concat!("privatelink.", $domain), "{name}")])],
        )
    };
}

/// Host names, in the spelling of the public cloud: Microsoft's pages on private endpoint DNS values and on custom DNS
/// of workspaces, the recording of private endpoints (blob). Members: OpenAPI ContainerRegistry 2023-07-01, users'
/// reports (vault). Chosen: the names of the second and third member of a workspace; that `web` lies in its first zone,
/// as the account's own document has it.
///
/// `{service}` is the group without `_secondary`; `{label}` is the first label of a workspace's notebook host. Names
/// that belong to no single resource, as those of portals, are left out.
pub(super) const SERVICES: &[Service] = &[
    service(
        WORKSPACE,
        &["amlworkspace"],
        &[
            member(
                "default",
                &[
                    name("{guid}.workspace.{region}.api.azureml.ms", WORKSPACE_ZONE, WORKSPACE_RECORD),
                    name("{guid}.workspace.{region}.cert.api.azureml.ms", WORKSPACE_ZONE, WORKSPACE_RECORD),
                ],
            ),
            member(
                "notebook",
                &[name("{label}.{region}.notebooks.azure.net", "privatelink.notebooks.azure.net", "{label}.{region}")],
            ),
            member(
                "inference",
                &[name("*.{region}.inference.ml.azure.com", WORKSPACE_ZONE, "*.{guid}.inference.{region}")],
            ),
        ],
    ),
    service(
        STORAGE,
        &["blob", "table", "queue", "file", "dfs"],
        &[member(
            "{group}",
            &[name("{name}.{service}.core.windows.net", "privatelink.{service}.core.windows.net", "{name}")],
        )],
    ),
    service(
        STORAGE,
        &["web"],
        &[member("web", &[name("{name}.z1.web.core.windows.net", "privatelink.web.core.windows.net", "{name}")])],
    ),
    service(
        STORAGE,
        &["blob_secondary", "table_secondary", "queue_secondary", "file_secondary", "web_secondary", "dfs_secondary"],
        &[member(
            "{group}",
            &[name(
                "{name}-secondary.{service}.core.windows.net",
                "privatelink.{service}.core.windows.net",
                "{name}-secondary",
            )],
        )],
    ),
    service(
        "Microsoft.KeyVault/vaults",
        &["vault"],
        &[member("default", &[name("{name}.vault.azure.net", "privatelink.vaultcore.azure.net", "{name}")])],
    ),
    service(
        REGISTRY,
        &["registry"],
        &[
            member(
                "registry_data_{region}",
                &[name("{name}.{region}.data.azurecr.io", "privatelink.azurecr.io", "{name}.{region}.data")],
            ),
            member("registry", &[name("{name}.azurecr.io", "privatelink.azurecr.io", "{name}")]),
        ],
    ),
    simple!("Microsoft.Sql/servers", "sqlServer", "database.windows.net"),
    cosmos!("Sql", "documents.azure.com"),
    cosmos!("MongoDB", "mongo.cosmos.azure.com"),
    cosmos!("Cassandra", "cassandra.cosmos.azure.com"),
    cosmos!("Gremlin", "gremlin.cosmos.azure.com"),
    cosmos!("Table", "table.cosmos.azure.com"),
    service(
        "Microsoft.CognitiveServices/accounts",
        &["account"],
        &[member(
            "default",
            &[
                name("{name}.cognitiveservices.azure.com", "privatelink.cognitiveservices.azure.com", "{name}"),
                name("{name}.openai.azure.com", "privatelink.openai.azure.com", "{name}"),
            ],
        )],
    ),
    simple!("Microsoft.Search/searchServices", "searchService", "search.windows.net"),
    simple!("Microsoft.EventHub/namespaces", "namespace", "servicebus.windows.net"),
    simple!("Microsoft.ServiceBus/namespaces", "namespace", "servicebus.windows.net"),
    simple!(SYNAPSE, "Sql", "Sql", "sql.azuresynapse.net"),
    service(
        SYNAPSE,
        &["SqlOnDemand"],
        &[member(
            "SqlOnDemand",
            &[name("{name}-ondemand.sql.azuresynapse.net", "privatelink.sql.azuresynapse.net", "{name}-ondemand")],
        )],
    ),
    simple!(SYNAPSE, "Dev", "Dev", "dev.azuresynapse.net"),
    service(
        "Microsoft.DataFactory/factories",
        &["dataFactory"],
        &[member(
            "dataFactory",
            &[name("{name}.{region}.datafactory.azure.net", "privatelink.datafactory.azure.net", "{name}.{region}")],
        )],
    ),
    simple!("Microsoft.ApiManagement/service", "Gateway", "azure-api.net"),
    simple!("Microsoft.DBforPostgreSQL/flexibleServers", "postgresqlServer", "postgres.database.azure.com"),
    simple!("Microsoft.DBforMySQL/flexibleServers", "mysqlServer", "mysql.database.azure.com"),
    simple!("Microsoft.Cache/Redis", "redisCache", "redis.cache.windows.net"),
    service(
        "Microsoft.Web/sites",
        &["sites"],
        &[member(
            "sites",
            &[
                name("{name}.azurewebsites.net", "privatelink.azurewebsites.net", "{name}"),
                name("{name}.scm.azurewebsites.net", "privatelink.azurewebsites.net", "{name}.scm"),
            ],
        )],
    ),
];
