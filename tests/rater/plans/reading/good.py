"""A plan without mistakes that uses every field, to be broken by tests."""

GOOD = """\
plan: good
kind: subscription
currency: EUR
zone: Europe/Berlin
settlement: prepaid
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    tariff: world
    rank: 2
    billing: {months: 1, by: anniversary, starts: first-usage}
    recurring_fee: {price: "5.00", starts: "2026-02-01"}
    activation_fee: "9.90"
    proration: {first: none, change: days-left}
    validity: {months: 3, by: month-end, renews: always, starts: assignment}
    floor: "-10.00"
    overage: refused
    entitlements:
      services: [data, voice]
      channels: 5
      connections: 1
      concurrent_calls: 2
      numbers: 3
      queue_priority: 1
    actions: [upgrade, downgrade, refill]
    allowances:
      - name: data
        quantity: 10 GB
        where: [eu, CH, "262-01"]
        priority: 1
        shared: true
        roll_over: {periods: 2, maximum: 5 GB}
      - {name: minutes, quantity: 1000 min, direction: outgoing, to: [DE, eu], expires: {months: 3}}
      - {name: texts, quantity: 500 messages, kinds: sms, expires: never}
      - name: credits
        quantity: 100.5 credits
        costs:
          - {kinds: email, credits: "1"}
          - {kinds: [sms], to: IN, credits: "7/3"}
          - {services: voice, credits: "0.25", per: min}
    refills:
      - {name: small, price: "10.00", balance: "11.00"}
      - {name: large, price: "50.00", balance: "60.00", paid_by: [parent, invoice], given: at-once}
    addons:
      - name: number
        price: "2.00"
        upfront: "1.00"
        recurring: true
        hold_days: 14
        capacity: {numbers: 1}
        allowances:
          - {name: extra, quantity: 300 min}
    leaving:
      when: {upgrade: at-once, downgrade: next-period}
      asked_by: owner
      unused: kept
      refund: days-after
      extras: larger
      frozen: true
      migrate_to: other
      migrate_from: "2027-04-01T00:00"
    joining: {balance_positive: upgrade, payment_details: true, quote_only: true, period: restart}
  - version: "2"
    effective_from: "2026-06-01T00:00"
    tariff: world
    allowances:
      - name: credits
        quantity: 1000 credits
        costs: [{kinds: email, credits: "1"}]
    scale:
      allowance: credits
      volumes:
        - {quantity: 1000 credits, price: "2.00"}
        - {quantity: 5000 credits, price: "9.00"}
"""
