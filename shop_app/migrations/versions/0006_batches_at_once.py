"""how many batches may be under way at a time

Revision ID: 0006_batches_at_once
Revises: 0005_canary_runs
"""
from alembic import op
import sqlalchemy as sa


revision = '0006_batches_at_once'
down_revision = '0005_canary_runs'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('sink_state', schema=None) as batch_op:
        batch_op.add_column(sa.Column('at_once', sa.Integer(), server_default='1', nullable=False))


def downgrade():
    with op.batch_alter_table('sink_state', schema=None) as batch_op:
        batch_op.drop_column('at_once')
