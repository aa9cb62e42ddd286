"""Tables of the engine. Times are integer microseconds since 1970 UTC; documents are JSON text."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

tenants = Table(
    "engine_tenants",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("org_id", String(36), nullable=False),
    Column("namespace", String(200), nullable=False),
    # Last sequence number given out. Updating it in the writing transaction orders all writers of the tenant.
    Column("seq", BigInteger, nullable=False, default=0),
    # Reference time of the decayed counters; moving it makes every process rebuild.
    Column("epoch_ms", BigInteger, nullable=False, default=0),
    UniqueConstraint("org_id", "namespace"),
)

items = Table(
    "engine_items",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("item_id", String(200), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("available", Boolean, nullable=False),
    Column("price", Float),
    Column("brand", Text),
    Column("category", Text),
    Column("description", Text),
    Column("image_url", Text),
    Column("metadata_version", Text),
    Column("tags", Text, nullable=False),
    Column("category_path", Text, nullable=False),
    Column("props", Text, nullable=False),
    Column("embedding", LargeBinary),
    Column("embedding_is_derived", Boolean, nullable=False, default=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Index("ix_engine_items_seq", "tenant", "seq"),
    Index("ix_engine_items_created", "tenant", "created_us", "item_id"),
)

users = Table(
    "engine_users",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("user_id", String(200), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("traits", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Index("ix_engine_users_seq", "tenant", "seq"),
    Index("ix_engine_users_created", "tenant", "created_us", "user_id"),
)

events = Table(
    "engine_events",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", String(200), nullable=False),
    Column("item_id", String(200), nullable=False),
    Column("type", Integer, nullable=False),
    Column("value", Float, nullable=False),
    Column("ts_us", BigInteger, nullable=False),
    Column("meta", Text),
    Column("order_id", String(200)),
    Column("is_impression", Boolean, nullable=False),
    Column("source_event_id", String(200)),
    # 64-bit digest of the body as sent, to tell a repeat from a different event under the same id.
    Column("body_digest", BigInteger, nullable=False),
    UniqueConstraint("tenant", "source_event_id", name="uq_engine_events_source"),
    Index("ix_engine_events_ts", "tenant", "ts_us", "seq"),
    Index("ix_engine_events_user", "tenant", "user_id"),
    sqlite_with_rowid=False,
)

operations = Table(
    "engine_operations",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(40), nullable=False),
    Column("payload", Text, nullable=False),
)

# What an item or a user was until a row of the log; no body: there was none. See ``store.earlier``.
earlier = Table(
    "engine_earlier",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("until_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text),
    Column("embedding", LargeBinary),
    Index("ix_engine_earlier_until", "tenant", "kind", "until_seq"),
)

# Every set of settings some stored decision was made under, by digest.
settings_sets = Table(
    "engine_settings_sets",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("digest", String(40), primary_key=True),
    Column("body", Text, nullable=False),
)

# Files that may be loaded instead of the log up to ``seq``.
snapshots = Table(
    "engine_snapshots",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

documents = Table(
    "engine_documents",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("kind", String(40), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
)

document_history = Table(
    "engine_document_history",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("kind", String(40), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("author", Text),
    Column("written_us", BigInteger, nullable=False),
)

decisions = Table(
    "engine_decisions",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("decision_id", String(36), primary_key=True),
    Column("request_id", String(200), nullable=False),
    Column("ts_us", BigInteger, nullable=False),
    Column("surface", Text, nullable=False),
    Column("user_hash", String(64)),
    # Last log row the list was computed from; with the settings digest it makes the decision repeatable.
    Column("log_seq", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_engine_decisions_ts", "tenant", "ts_us"),
    Index("ix_engine_decisions_request", "tenant", "request_id"),
    Index("ix_engine_decisions_user", "tenant", "user_hash"),
)

bandit_decisions = Table(
    "engine_bandit_decisions",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("decision_id", String(36), primary_key=True),
    Column("surface", String(200), nullable=False),
    Column("bucket_key", Text, nullable=False),
    Column("policy_id", String(200), nullable=False),
    Column("algorithm", String(40), nullable=False),
    Column("propensity", Float, nullable=False),
    Column("variant", String(40)),
    Column("user_hash", String(64)),
    Column("served_us", BigInteger, nullable=False),
    # Largest reward so far in millionths: taking the largest makes repeats and any order harmless.
    Column("reward_micro", BigInteger, nullable=False, default=0),
    Index("ix_engine_bandit_decisions_bucket", "tenant", "surface", "served_us"),
    Index("ix_engine_bandit_decisions_user", "tenant", "user_hash"),
)

bandit_rewards = Table(
    "engine_bandit_rewards",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("source_event_id", String(200), primary_key=True),
    Column("decision_id", String(36), nullable=False),
    Column("reward_micro", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("ix_engine_bandit_rewards_decision", "tenant", "decision_id"),
)

evaluations = Table(
    "engine_evaluations",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("evaluation_id", String(36), primary_key=True),
    Column("made_us", BigInteger, nullable=False),
    Column("cut_s", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("config_digest", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_engine_evaluations_made", "tenant", "made_us"),
)

# Which text and model a derived vector was made from; the vector itself stands in engine_items.
vectors = Table(
    "engine_vectors",
    metadata,
    Column("tenant", Integer, primary_key=True),
    Column("item_id", String(200), primary_key=True),
    # The item's number when its text was last looked at.
    Column("item_seq", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("model", String(200), nullable=False),
)
