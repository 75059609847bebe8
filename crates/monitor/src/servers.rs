//! Which databases on which servers the roles use.

use rhubarb_connection::{Connections, Redis, Role};
use rhubarb_core::redact::SafeUrl;

/// A database in use, with all the roles that share it.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its one connection.
    pub redis: Redis,
    /// Who uses it.
    pub roles: Vec<Role>,
    /// Its server, as a person names it.
    pub server: String,
}

/// A server in use, with its databases.
#[derive(Clone, Debug)]
pub struct Server {
    /// `host:port`, or the socket's path; never a user or password.
    pub name: String,
    /// Its databases, in the order of the roles.
    pub databases: Vec<Database>,
}

impl Database {
    /// Tells whether a role is served there.
    pub fn serves(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Returns its name: the server's with the database's number.
    pub fn name(&self) -> String {
        format!("{}/{}", self.server, self.redis.db())
    }
}

impl Server {
    /// Tells whether a role is served by it.
    pub fn serves(&self, role: Role) -> bool {
        self.databases.iter().any(|database| database.serves(role))
    }

    /// Returns the roles that it serves, in order.
    pub fn roles(&self) -> Vec<Role> {
        Role::ALL.into_iter().filter(|role| self.serves(*role)).collect()
    }
}

/// Returns the servers of a configuration, the queue's first. Roles that go there as different
/// users share it.
pub fn of(connections: &Connections) -> Vec<Server> {
    let mut servers: Vec<Server> = Vec::new();
    for role in Role::ALL {
        let redis = connections.role(role);
        let name = name(redis.url());
        let found = servers.iter().position(|known| known.name == name).unwrap_or_else(|| {
            servers.push(Server { name: name.clone(), databases: Vec::new() });
            servers.len() - 1
        });
        let databases = &mut servers[found].databases;
        match databases.iter_mut().find(|database| database.redis.same_database(&redis)) {
            Some(database) => database.roles.push(role),
            None => databases.push(Database { redis, roles: vec![role], server: name }),
        }
    }
    servers
}

/// Returns the names of roles, as the configuration has them.
pub fn names(roles: &[Role]) -> Vec<&'static str> {
    roles.iter().map(|role| role.name()).collect()
}

fn name(url: &SafeUrl) -> String {
    let exposed = url.expose();
    match exposed.host_str() {
        Some(host) if !url.is_socket() => format!("{host}:{}", exposed.port().unwrap_or(6379)),
        _ => exposed.path().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rhubarb_connection::Layout;
    use rhubarb_settings::Settings;

    use super::*;

    fn shown(config: &Settings) -> Vec<String> {
        let connections = Connections::new(&config.redis, "test").unwrap();
        let databases = of(&connections).into_iter().flat_map(|server| server.databases);
        databases
            .map(|database| format!("{} {:?}", database.name(), names(&database.roles)))
            .collect()
    }

    #[tokio::test]
    async fn roles_on_one_database_share_a_place_and_no_name_holds_a_password() {
        let mut config = Settings::default();
        config.redis.url = "redis://u:hunter2@h".parse().unwrap();
        assert_eq!(
            shown(&config),
            [
                r#"h:6379/0 ["queue", "results"]"#,
                r#"h:6379/1 ["cache"]"#,
                r#"h:6379/2 ["sessions"]"#,
                r#"h:6379/3 ["jobs"]"#
            ]
        );
        config.redis.layout = Layout::Two;
        config.redis.sessions_url = "unix:///run/r.sock?db=4".parse().ok();
        config.redis.jobs_url = "redis://other@h/1".parse().ok();
        assert_eq!(
            shown(&config),
            [
                r#"h:6379/0 ["queue", "results"]"#,
                r#"h:6379/1 ["cache"]"#,
                r#"h:6379/1 ["jobs"]"#,
                r#"/run/r.sock/4 ["sessions"]"#
            ]
        );
        assert_eq!(of(&Connections::new(&config.redis, "test").unwrap()).len(), 2);
    }
}
