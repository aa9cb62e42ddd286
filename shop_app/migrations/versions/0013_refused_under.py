"""the version of the event schema under which an event was refused

Revision ID: 0013_refused_under
Revises: 0012_by_audience
"""
from alembic import op
import sqlalchemy as sa


revision = '0013_refused_under'
down_revision = '0012_by_audience'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('tracked_event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('error_schema', sa.Integer(), nullable=True))


def downgrade():
    with op.batch_alter_table('tracked_event', schema=None) as batch_op:
        batch_op.drop_column('error_schema')
