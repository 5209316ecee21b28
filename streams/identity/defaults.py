"""The merge policy of a tenant that has none: sane for a brand in the WeChat ecosystem.

In: nothing. Out: a policy's text; `deploy/policies/default.yaml` is the same, for people to read and start from.
Never: a judgement (see `policy`).
"""

from __future__ import annotations

TEXT = """\
policy: default
version: 1
description: >-
  One account, one WeChat user, one openid per appid. A person may change phones, cards and shops now and then;
  browsers and devices come and go, and are used by several people.

# The strongest first. An event belongs to its strongest id; weak kinds come last.
priority:
  - uid
  - unionid
  - external_userid
  - phone
  - email
  - member_card
  - marketplace_id
  - openid
  - device_id
  - cookie

# values: exclusive  two persons who show it are one person, if limits allow; else it is contested
#         shareable  several persons may show it: it joins an id to a person, but never two known persons
#         weak       as shareable; it names a visitor, and its events alone belong to who logged in last
# hold:   how many values of the kind one person may have, for each issuer (scope) of it
kinds:
  uid:
    values: exclusive
    hold: 1 ever
  unionid:
    values: exclusive
    hold: 1 ever
  external_userid:
    values: exclusive
    hold: 1 ever
  phone:
    values: exclusive
    hold: 3 ever
  email:
    values: exclusive
    hold: 3 ever
  member_card:
    values: exclusive
    hold: 3 ever
  marketplace_id:
    values: exclusive
    hold: 2 ever
  openid:
    values: exclusive
    hold: 1 ever
  device_id:
    values: weak
    hold: [5 per 7d, 50 ever]
  cookie:
    values: weak
    hold: [10 per 7d, 200 ever]

# The breaker. With how many other ids of one kind (for each issuer of it) a value may be seen, before it is suspected:
# then all its links are held, also those that it made before, until an operator releases or rejects it.
# seen_with: ids that are not weak; seen_on: devices and browsers
seen_with:
  uid: [15 ever, 8 per 1d]
  unionid: [15 ever, 8 per 1d]
  external_userid: [15 ever, 8 per 1d]
  phone: [15 ever, 8 per 1d]
  email: [15 ever, 8 per 1d]
  member_card: [30 ever, 10 per 1d]
  marketplace_id: [50 ever, 10 per 1d]
  openid: [15 ever, 8 per 1d]
  device_id: [30 ever, 12 per 1d]
  cookie: [30 ever, 12 per 1d]
seen_on:
  uid: [1000 ever, 100 per 1d]
  unionid: [1000 ever, 100 per 1d]
  external_userid: [1000 ever, 100 per 1d]
  phone: [1000 ever, 100 per 1d]
  email: [1000 ever, 100 per 1d]
  member_card: [1000 ever, 100 per 1d]
  marketplace_id: [1000 ever, 100 per 1d]
  openid: [1000 ever, 100 per 1d]
  device_id: [200 ever, 50 per 1d]
  cookie: [200 ever, 50 per 1d]

# One link that would join two persons is held, where both have so many ids (weak ones not counted), or both bring
# values of their own of so many exclusive kinds.
bridge: {large: 12, rivals: 2}

# Beside placeholders (zeros, -1, null, anonymous and the like) and test phones, which are always blocked.
blocked: []
"""
