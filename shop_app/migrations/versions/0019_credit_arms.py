"""the arm of the answer an order line is credited to

Revision ID: 0019_credit_arms
Revises: 0018_link_checks
"""
from alembic import op
import sqlalchemy as sa


revision = '0019_credit_arms'
down_revision = '0018_link_checks'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('order_line_credit') as batch_op:
        batch_op.add_column(sa.Column('arm', sa.String(length=100), server_default='', nullable=False))
    is_postgresql = op.get_bind().dialect.name == 'postgresql'
    experiment, bucket = (
        f"meta->>'{name}'" if is_postgresql else f"json_extract(meta, '$.{name}')" for name in ('experiment', 'ab_bucket')
    )
    # The arm its cards were shown under, as the job writes it for new lines; type 0 is a card seen.
    op.execute(
        f"""
        UPDATE order_line_credit SET arm = coalesce((
            SELECT max(CASE WHEN coalesce({experiment}, '') = '' THEN ''
                            ELSE ({experiment}) || ' · ' || coalesce({bucket}, '') END)
            FROM tracked_event
            WHERE tracked_event.request_id = order_line_credit.request_id AND tracked_event.type = 0
        ), '') WHERE request_id <> ''
        """
    )


def downgrade():
    with op.batch_alter_table('order_line_credit') as batch_op:
        batch_op.drop_column('arm')
