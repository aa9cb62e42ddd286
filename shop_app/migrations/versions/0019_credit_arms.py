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
    fields = ("meta->>'experiment'", "meta->>'ab_bucket'")
    if op.get_bind().dialect.name != 'postgresql':
        fields = ("json_extract(meta, '$.experiment')", "json_extract(meta, '$.ab_bucket')")
    # The arm its cards were shown under, as the job writes it for new lines; type 0 is a card seen.
    shown = sa.table('tracked_event', sa.column('request_id'), sa.column('type'))
    credit = sa.table('order_line_credit', sa.column('request_id'), sa.column('arm'))
    experiment, bucket = (sa.func.coalesce(sa.literal_column(field), '') for field in fields)
    arm = sa.case((experiment == '', ''), else_=experiment + ' · ' + bucket)
    found = sa.select(sa.func.max(arm)).where(shown.c.request_id == credit.c.request_id, shown.c.type == 0)
    op.execute(
        credit.update().where(credit.c.request_id != '').values(arm=sa.func.coalesce(found.scalar_subquery(), ''))
    )


def downgrade():
    with op.batch_alter_table('order_line_credit') as batch_op:
        batch_op.drop_column('arm')
