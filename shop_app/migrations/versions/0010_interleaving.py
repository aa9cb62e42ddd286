"""experiments that mix two rankings in one list

Revision ID: 0010_interleaving
Revises: 0009_guard_days
"""
from alembic import op
import sqlalchemy as sa


revision = '0010_interleaving'
down_revision = '0009_guard_days'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('experiment', schema=None) as batch_op:
        batch_op.add_column(sa.Column('is_interleaved', sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table('experiment', schema=None) as batch_op:
        batch_op.alter_column('is_interleaved', server_default=None)


def downgrade():
    with op.batch_alter_table('experiment', schema=None) as batch_op:
        batch_op.drop_column('is_interleaved')
