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

# Beside placeholders (zeros, -1, null, anonymous and the like) and test phones, which are always blocked.
blocked: []
"""
