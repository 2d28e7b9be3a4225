//! The operator of these histories: the order in which the controllers ask the functions of the parent's siblings, with the ledger as
//! the only thing that outlives a death. It decides nothing itself.

use super::*;

impl World {
    /// Assigns, as `write::assign` does. True if Azure answered that it is so.
    fn assign(&mut self, number: usize, entry: Entry) -> Result<(), Dead> {
        let key = key_of(&entry);
        let record = self.records.get(&number).cloned().unwrap_or_default();
        let before =
            record.find(&ArmId::parse(&entry.scope).unwrap(), &entry.role, &entry.principal, entry.is_of_rule());
        let before = before.cloned();
        let noted = Entry { asked_at: self.at().to_string(), ..entry };
        let put = noted.clone();
        self.save(number, |record| record.put(put))?;
        let mut answer = None;
        self.effect(|world| answer = world.put(&key))?;
        if answer == Some(false) {
            self.save(number, |record| {
                record.forget(&noted);
                record.entries.extend(before);
            })?;
        }
        Ok(())
    }

    /// Takes back, as `write::take_back` does. True if it has not to be tried again.
    fn take_back(&mut self, number: usize, entry: &Entry, end: End) -> Result<bool, Dead> {
        if entry.claims() {
            let ended = entry.clone();
            self.save(number, |record| record.end(ended, end))?;
        }
        if is_kept(entry, &workspace_id(number), self.records.values()) {
            self.save(number, |record| record.forget(entry))?;
            return Ok(true);
        }
        if self.is_worked_with(number, entry) {
            return Ok(true);
        }
        let key = key_of(entry);
        match self.assigned.get(&key) {
            Some(Who::Ours) => {
                let mut gone = false;
                self.effect(|world| gone = world.delete(&key))?;
                if !gone {
                    return Ok(false);
                }
            }
            Some(Who::Stranger) => {
                self.save(number, |record| record.forget(entry))?;
                return Ok(true);
            }
            None => {}
        }
        if entry.age(self.at()) < Duration::from_secs(REST.unsigned_abs()) {
            return Ok(false);
        }
        self.save(number, |record| record.forget(entry))?;
        Ok(true)
    }

    /// An object with the same identity is made of it, whether or not it has a claim; its own only if that was for rules.
    fn is_worked_with(&self, number: usize, entry: &Entry) -> bool {
        entry.role == WORKS
            && self.objects.iter().any(|(other, object)| {
                let own = identity(*other, object.identity);
                (*other != number || entry.is_of_rule())
                    && own.kind != IdentityKind::SystemAssigned
                    && own.principal == entry.principal
                    && object.registry.is_some_and(|registry| scope(registry).as_str() == entry.scope)
            })
    }

    /// One turn of a workspace's object. True if something was done, so that it looks again.
    pub(super) fn turn(&mut self, number: usize) -> Result<bool, Dead> {
        if let Some(farewell) = self.leaving.get(&number).copied() {
            return self.depart(number, farewell).map(|()| false);
        }
        let Some((object, link)) = self.heard(number).map(|(object, link)| (object.clone(), link)) else {
            return Ok(false);
        };
        let own = identity(number, object.identity);
        let record = self.records.get(&number).cloned().unwrap_or_default();
        let (acting, in_use) = match self.shown.get(&number) {
            None => {
                self.shown.insert(number, (own.clone(), object.registry));
                return Ok(true);
            }
            Some((acting, registry)) => (acting.clone(), registry.map(scope)),
        };
        let grants = self.grants(&object, &own, &acting, in_use.as_ref(), &record);
        if let Some(assign) = grants.assign {
            self.assign(number, self.claim(&assign, object.connection))?;
            return Ok(self.answer.is_none());
        }
        if let Some(TakeBack(entry)) = grants.take_back {
            self.take_back(number, &entry, End::Done)?;
            return Ok(true);
        }
        let stray = |entry: &&Entry| {
            let asked = (0..TARGETS).any(|target| {
                object.rules[target].is_some_and(|role| role != ApproverRole::Report)
                    && self.permits.contains(&(number, target))
                    && link.is_some_and(|role| entry.is(&scope(target), role, &own.principal))
            });
            entry.is_of_rule() && entry.claims() && !asked
        };
        if let Some(entry) = record.entries.iter().find(stray).cloned() {
            self.take_back(number, &entry, End::Revoked)?;
            return Ok(true);
        }
        let mut again = false;
        for target in 0..TARGETS {
            again |= self.attend(number, &object, link, &own, target)?;
        }
        // What is declared of the workspace itself is written once the roles for it had their chance.
        if !again {
            self.shown.insert(number, (own, object.registry));
        }
        Ok(again)
    }

    fn grants(
        &self,
        object: &Object,
        own: &Identity,
        acting: &Identity,
        in_use: Option<&ArmId>,
        record: &Record,
    ) -> Grants {
        let connection = connection();
        let fence = Fence::new("c", &connection, "team", &BTreeMap::new());
        let checked = |registry: usize| {
            let role = Role { id: Some(WORKS), name: "Contributor" };
            let need = Need { scope: scope(registry), role, actions: Vec::new(), why: "its registry" };
            let key = (need.scope.key(), WORKS.to_owned(), own.principal.clone());
            let held = |held: bool| if held { RoleCheck::Held } else { RoleCheck::Missing };
            let who = self.assigned.get(&key);
            Checked { need, check: held(who.is_some()), otherwise: held(who == Some(&Who::Stranger)) }
        };
        let system = own.kind == IdentityKind::SystemAssigned;
        let needs: Vec<Checked> = object.registry.filter(|_| !system).map(checked).into_iter().collect();
        let in_use: Vec<String> = in_use.map(ArmId::key).into_iter().collect();
        plan(GrantsInput {
            installation: OURS,
            policy: if object.grants { RolePolicy::Grant } else { RolePolicy::Report },
            identity: Some(own),
            needs: &needs,
            unchecked: None,
            in_use: &in_use,
            acting: Some(&acting.principal),
            fence: &fence,
            connection: &connection,
            definitions: &definitions(),
            record,
            acknowledge: &[],
            waits: &BTreeMap::new(),
        })
    }

    fn claim(&self, assign: &Assign, connection: usize) -> Entry {
        Entry {
            scope: assign.scope.to_string(),
            role: assign.role.clone(),
            principal: assign.principal.clone(),
            identity: assign.identity.clone(),
            connection: connection.to_string(),
            tenant: String::new(),
            term: assign.term.clone(),
            asked_at: String::new(),
            wish: String::new(),
            before: Vec::new(),
            turn: None,
            turn_since: String::new(),
            ends: None,
        }
    }

    /// Attends to one target. True if something was done.
    fn attend(
        &mut self,
        number: usize,
        object: &Object,
        link: Link,
        own: &Identity,
        target: usize,
    ) -> Result<bool, Dead> {
        let Some(asked) = object.rules[target] else { return Ok(false) };
        let on = scope(target);
        let may = self.can_approve(target, &own.principal) || object.registry == Some(target);
        let (true, Some(role)) = (asked != ApproverRole::Report, link) else {
            self.write_rule(number, target, may);
            return Ok(false);
        };
        let record = self.records.get(&number).cloned().unwrap_or_default();
        let entry = record.find(&on, role, &own.principal, true).cloned();
        let made_of = object.registry == Some(target);
        let key = (on.key(), role.to_owned(), own.principal.clone());
        let shown = !made_of && self.assigned.get(&key) == Some(&Who::Ours);
        let permits = self.permits.contains(&(number, target));
        let allowed = if permits { Ok(()) } else { Err(Verdict::new(Reason::PolicyMissing, "none")) };
        let rule = RuleOnTarget {
            key: ObjectKey { namespace: "team".into(), name: format!("rule{target}") },
            azure_name: format!("rule{target}"),
            role: asked,
            active: self.active.contains(&(number, target)),
            refused: false,
        };
        let unclaimed = entry.clone().filter(Entry::claims).is_none();
        let forgotten = Assign {
            scope: on.clone(),
            role: role.to_owned(),
            principal: own.principal.clone(),
            identity: own.kind.key(),
            term: Term::Until(self.at().to_string()),
        };
        let forgotten = self.claim(&forgotten, object.connection);
        let held = made_of || !self.foreign(target, &own.principal).is_empty();
        let step = attend_target(ApproverInput {
            target: &on,
            rules: if permits { std::slice::from_ref(&rule) } else { &[] },
            network_active: true,
            otherwise: if held { RoleCheck::Held } else { RoleCheck::Missing },
            shown,
            claimed: shown && unclaimed && is_kept(&forgotten, &workspace_id(number), self.records.values()),
            moved: entry.as_ref().is_some_and(|entry| entry.connection != object.connection.to_string()),
            entry: entry.as_ref(),
            spent: None,
            wish: "w",
            allowed: &allowed,
            effective: Duration::from_secs(600),
            now: self.at(),
        });
        match step {
            Approver::Usual => self.write_rule(number, target, may),
            Approver::Write { .. } => self.write_rule(number, target, may),
            Approver::Wait(_) => {}
            Approver::Prepare { rule, assign, standing } => {
                let most = Duration::from_secs(DEADLINE.unsigned_abs());
                if rule.is_some() && is_taken(&on, &workspace_id(number), self.records.values(), most, self.at()) {
                    return Ok(false);
                }
                let until = Term::Until((self.at() + jiff::SignedDuration::from_secs(DEADLINE)).to_string());
                let term = entry.as_ref().filter(|entry| entry.claims()).map(|entry| entry.term.clone());
                let wanted = Assign {
                    term: term.unwrap_or(if standing { Term::Standing } else { until }),
                    scope: on,
                    role: role.to_owned(),
                    principal: own.principal.clone(),
                    identity: own.kind.key(),
                };
                let noted = Entry {
                    asked_at: entry.map(|entry| entry.asked_at).unwrap_or_default(),
                    turn_since: rule.as_ref().map(|_| self.at().to_string()).unwrap_or_default(),
                    turn: rule,
                    ..self.claim(&wanted, object.connection)
                };
                if assign {
                    self.assign(number, noted)?;
                    // What was refused is not asked for again in the same breath.
                    return Ok(false);
                }
                self.save(number, |record| record.put(noted))?;
                return Ok(true);
            }
            Approver::Prove { .. } => {
                let Some(entry) = entry else { return Ok(false) };
                self.save(number, |record| record.put(Entry { turn: None, turn_since: String::new(), ..entry }))?;
                return Ok(true);
            }
            Approver::End(end) => {
                self.take_back(number, &entry.unwrap_or(forgotten), end)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rules' engine brings the rule to Azure, where it becomes active if the identity may approve.
    fn write_rule(&mut self, number: usize, target: usize, may: bool) {
        if may {
            self.active.insert((number, target));
        }
    }

    /// The object goes; as `leave` does.
    fn depart(&mut self, number: usize, farewell: Farewell) -> Result<(), Dead> {
        let all = farewell == Farewell::Delete;
        let entries = self.records.get(&number).map(|record| record.entries.clone()).unwrap_or_default();
        if farewell != Farewell::Abandon {
            if all {
                self.shown.remove(&number);
            }
            let mut left = false;
            for entry in entries.into_iter().filter(|entry| all || entry.is_lent()) {
                left |= !self.take_back(number, &entry, End::Done)?;
            }
            if left {
                return Ok(());
            }
        }
        self.leaving.remove(&number);
        self.objects.remove(&number);
        Ok(())
    }

    /// The keeper looks through the ledger.
    pub(super) fn keep(&mut self) -> Result<(), Dead> {
        for number in 0..WORKSPACES {
            let asked: Vec<Asked> = self
                .heard(number)
                .and_then(|(object, link)| {
                    let wants = |target: &usize| {
                        object.rules[*target].is_some_and(|role| role != ApproverRole::Report)
                            && self.permits.contains(&(number, *target))
                    };
                    Some(Asked {
                        role: link?.to_owned(),
                        identity: identity(number, object.identity).kind.key(),
                        targets: (0..TARGETS).filter(wants).map(|target| scope(target).key()).collect(),
                    })
                })
                .into_iter()
                .collect();
            let entries = self.records.get(&number).map(|record| record.entries.clone()).unwrap_or_default();
            for entry in entries {
                if let Some(end) = due(&entry, &asked, self.at()) {
                    self.take_back(number, &entry, end)?;
                }
            }
        }
        Ok(())
    }
}
