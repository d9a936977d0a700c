//! Small sales, and what must be true after them, whatever is killed meanwhile.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Barrier};
use std::thread;

use flash_sale::audit::{Audit, Breach};
use flash_sale::fraud::{Suspect, is_fraud};
use flash_sale::load::{Rush, Seen};
use flash_sale::progress::Progress;
use flash_sale::report::Report;
use flash_sale::run::{Sale, sell};
use flash_sale::shop::{Plan, Refusal, Shop};
use flash_sale::stock::{Fate, Reserved, Stock};
use flash_sale::tally::Tally;
use futures_lite_bridge::block_on;
use tempfile::TempDir;

fn many() -> NonZeroU32 {
    NonZeroU32::new(1_000_000).unwrap()
}

/// A shop that refuses nobody for being too fast or too many.
fn plan() -> Plan {
    Plan {
        front_workers: 4,
        queue: 10_000,
        back_workers: 4,
        checkers: 2,
        work: 20,
        kill_every: None,
        user_rate: many(),
    }
}

fn rush(buyers: u32) -> Rush {
    Rush {
        buyers,
        rate: many(),
        accounts: many(),
        clients: 16,
        seed: 7,
    }
}

fn sale(units: u32, plan: &Plan, rush: &Rush) -> Sale {
    let folder = TempDir::new().unwrap();
    sell(folder.path(), units, plan, rush, Progress::hidden).unwrap()
}

/// No promise was broken, and the shop's counts agree with the database.
fn assert_good(sale: &Sale) {
    let (tally, seen, audit) = (&sale.tally, &sale.seen, &sale.audit);
    assert_eq!(audit.breaches(), [], "{audit:?}");
    assert_eq!(tally.trouble.get(), None);
    assert_eq!(seen.unanswered, 0);
    assert_eq!(seen.accepted.len() as u64, audit.accepted);
    assert_eq!(tally.accepted.get(), audit.accepted);
    assert_eq!(tally.accepted.get() + tally.all_refused(), seen.sent);
    assert_eq!(tally.settled[Fate::Paid as usize].get(), audit.paid);
}

fn is_fraud_key(key: &str, work: u32) -> bool {
    let key = key.to_owned();
    is_fraud(Suspect { key, work })
}

#[test]
fn killed_workers_cost_no_order_and_no_unit() {
    let mut plan = plan();
    plan.kill_every = NonZeroU64::new(3);
    plan.work = 500;
    let sale = sale(60, &plan, &rush(200));
    assert_good(&sale);
    let tally = &sale.tally;
    assert!(tally.killed.get() > 0 && tally.died.get() > 0, "{tally:?}");
    // Units that frauds give back after the last buyer has left stay on the shelf.
    assert!(sale.audit.accepted >= 60, "there were buyers enough");
    // Checks whose worker died were repeated, with the right answer.
    let frauds = sale
        .seen
        .accepted
        .iter()
        .filter(|key| is_fraud_key(key, plan.work));
    assert_eq!(frauds.count() as u64, sale.audit.given_up);
    assert_eq!(tally.settled[Fate::Unchecked as usize].get(), 0);
    let begun = tally.accepted.get() + tally.died.get();
    assert_eq!(tally.checks.get(), begun);
}

#[test]
fn more_stock_than_buyers_sells_to_all_but_frauds_and_second_clicks() {
    let plan = plan();
    let sale = sale(1_000, &plan, &rush(120));
    assert_good(&sale);
    assert_eq!(sale.audit.accepted, 120);
    let twice = sale.seen.sent - 120;
    assert!(twice > 0, "some click twice");
    assert_eq!(sale.tally.refused[Refusal::Duplicate as usize].get(), twice);
    let frauds = sale
        .seen
        .accepted
        .iter()
        .filter(|key| is_fraud_key(key, plan.work));
    assert_eq!(frauds.count() as u64, sale.audit.given_up);
    assert_eq!(sale.tally.pages.get(), 120);
    assert!(sale.tally.page_loads.get() <= 120);
}

#[test]
fn hasty_account_is_held_back_alone() {
    let mut plan = plan();
    plan.user_rate = NonZeroU32::MIN;
    let folder = TempDir::new().unwrap();
    let (shop, tally, _stock) = shop(&folder, 10, &plan);
    // So few milliseconds apart that the second is too fast, unless the machine stalls for a second.
    let order = |buyer, key: &str| block_on(shop.order(buyer, key.to_owned()));
    assert!(order(1, "a").is_ok());
    assert_eq!(order(1, "b"), Err(Refusal::TooFast));
    assert!(order(2, "c").is_ok());
    shop.close().unwrap();
    assert_eq!(tally.refused[Refusal::TooFast as usize].get(), 1);
}

fn shop(folder: &TempDir, units: u32, plan: &Plan) -> (Shop, Arc<Tally>, Stock) {
    let path = folder.path().join("shop.sqlite");
    let stock = Stock::create(&path, units).unwrap();
    let tally = Arc::new(Tally::default());
    let shop = Shop::open(&path, plan, Arc::clone(&tally)).unwrap();
    (shop, tally, stock)
}

#[test]
fn full_queue_refuses_at_once_and_what_waits_in_it_is_kept() {
    let mut plan = plan();
    (plan.front_workers, plan.queue) = (1, 2);
    let folder = TempDir::new().unwrap();
    let (shop, _tally, stock) = shop(&folder, 10, &plan);
    // While somebody else writes, no reservation ends, so the queue fills.
    stock.connection().execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = Vec::new();
    let mut key = 0;
    let refusal = loop {
        key += 1;
        let mut order = Box::pin(shop.order(1, key.to_string()));
        let polled = block_on(std::future::poll_fn(|context| {
            std::task::Poll::Ready(order.as_mut().poll(context))
        }));
        match polled {
            std::task::Poll::Pending => waiting.push(order),
            std::task::Poll::Ready(answer) => break answer,
        }
    };
    assert_eq!(refusal, Err(Refusal::Busy));
    // The thread may have taken one from the queue.
    assert!((2..=3).contains(&waiting.len()), "{}", waiting.len());
    let hung_up = waiting.pop();
    drop(hung_up);
    stock.connection().execute_batch("COMMIT").unwrap();
    let told = waiting.len() as u64;
    for order in waiting {
        block_on(order).unwrap();
    }
    shop.close().unwrap();
    let audit = Audit::of(stock.connection(), &[]).unwrap();
    assert_eq!(audit.breaches(), []);
    assert_eq!(
        audit.accepted,
        told + 1,
        "who hung up has ordered all the same"
    );
}

#[test]
fn racing_reservations_take_each_unit_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("shop.sqlite");
    let stock = Stock::create(&path, 50).unwrap();
    let start = Barrier::new(4);
    let race = |buyer: u32| {
        let stock = Stock::open(&path).unwrap();
        start.wait();
        let reserve = |n| {
            stock
                .reserve(buyer, &format!("{buyer}-{n}"), || ())
                .unwrap()
        };
        (0..30).map(reserve).collect::<Vec<_>>()
    };
    let all: Vec<_> = thread::scope(|scope| {
        let racers: Vec<_> = (0..4)
            .map(|buyer| scope.spawn(move || race(buyer)))
            .collect();
        racers
            .into_iter()
            .flat_map(|racer| racer.join().unwrap())
            .collect()
    });
    let orders = all.iter().filter_map(|reserved| match reserved {
        Reserved::Order(id) => Some(id),
        _ => None,
    });
    assert_eq!(orders.collect::<BTreeSet<_>>().len(), 50);
    assert_eq!(stock.left().unwrap(), 0);
    let (sold_out, contended) = all.iter().fold((0, 0), |(sold, lost), one| match one {
        Reserved::SoldOut => (sold + 1, lost),
        Reserved::Contended => (sold, lost + 1),
        _ => (sold, lost),
    });
    assert_eq!(sold_out + contended, 4 * 30 - 50);
}

#[test]
fn key_is_ordered_once_and_an_order_settled_once() {
    let folder = TempDir::new().unwrap();
    let stock = Stock::create(&folder.path().join("shop.sqlite"), 2).unwrap();
    let reserve = |key| stock.reserve(1, key, || ()).unwrap();
    let Reserved::Order(first) = reserve("a") else {
        panic!()
    };
    assert_eq!(reserve("a"), Reserved::Duplicate);
    let Reserved::Order(second) = reserve("b") else {
        panic!()
    };
    assert_eq!(reserve("c"), Reserved::SoldOut);
    assert_eq!(reserve("b"), Reserved::Duplicate, "also when all is sold");

    assert!(stock.settle(first, Fate::Paid).unwrap());
    assert!(!stock.settle(first, Fate::Paid).unwrap());
    assert!(!stock.settle(first, Fate::Fraud).unwrap());
    assert_eq!(stock.left().unwrap(), 0);
    assert!(stock.settle(second, Fate::Fraud).unwrap());
    assert!(!stock.settle(second, Fate::Fraud).unwrap());
    assert_eq!(
        stock.left().unwrap(),
        1,
        "the unit is on the shelf again, once"
    );
    let audit = Audit::of(stock.connection(), &["a".to_owned(), "b".to_owned()]).unwrap();
    assert_eq!(
        (audit.paid, audit.given_up, audit.breaches()),
        (1, 1, vec![])
    );
}

#[test]
fn shop_without_a_stock_does_not_open_and_says_why() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nothing.sqlite");
    let error = Shop::open(&path, &plan(), Arc::default()).unwrap_err();
    let told = error.to_string();
    assert!(told.starts_with("cannot staff the shop: "), "{told}");
    assert!(told.contains("no such table: product"), "{told}");
}

#[test]
fn sale_in_which_requests_got_no_answer_is_not_good() {
    let sale = |unanswered| Sale {
        tally: Arc::default(),
        seen: Seen {
            unanswered,
            ..Seen::default()
        },
        audit: Audit::default(),
    };
    assert!(Report::new(sale(0)).is_good());
    let report = Report::new(sale(3));
    assert!(!report.is_good());
    let text = report.to_string();
    assert!(text.contains("broken: 3 requests got no answer"), "{text}");
}

#[test]
fn audit_finds_every_broken_promise() {
    let found = |damage: &str, told: &[&str]| {
        let folder = TempDir::new().unwrap();
        let stock = Stock::create(&folder.path().join("shop.sqlite"), 2).unwrap();
        for key in ["a", "b"] {
            let Reserved::Order(id) = stock.reserve(1, key, || ()).unwrap() else {
                panic!()
            };
            stock.settle(id, Fate::Paid).unwrap();
        }
        stock.connection().execute_batch(damage).unwrap();
        let told: Vec<_> = told.iter().map(|key| (*key).to_owned()).collect();
        let audit = Audit::of(stock.connection(), &told).unwrap();
        let breaches = audit.breaches();
        for &breach in &breaches {
            assert!(
                audit
                    .details(breach)
                    .contains(|it: char| ('1'..='9').contains(&it))
            );
        }
        breaches
    };
    assert_eq!(found("", &["a", "b"]), []);
    assert_eq!(found("", &["a", "x"]), [Breach::Lost]);
    assert_eq!(found("", &["a", "a"]), [Breach::Twice]);
    let third = "INSERT INTO orders VALUES (9, 'c', 1, 'paid'); INSERT INTO payments VALUES (9, 1)";
    assert_eq!(found(third, &[]), [Breach::Oversold, Breach::Unbalanced]);
    assert_eq!(
        found("UPDATE product SET left = 1", &[]),
        [Breach::Unbalanced]
    );
    assert_eq!(
        found("INSERT INTO payments VALUES (1, 1)", &[]),
        [Breach::Paid]
    );
    assert_eq!(
        found("DELETE FROM payments WHERE order_id = 1", &[]),
        [Breach::Paid]
    );
    assert_eq!(
        found("INSERT INTO payments VALUES (77, 1)", &[]),
        [Breach::Paid]
    );
    let unsettled = "UPDATE orders SET state = 'accepted' WHERE id = 1; DELETE FROM payments WHERE order_id = 1";
    assert_eq!(found(unsettled, &[]), [Breach::Lost]);
}
