"""freshness is measured by a canary

Revision ID: 0005_canary_runs
Revises: 0004_counts_of_answers
"""
from alembic import op
import sqlalchemy as sa


revision = '0005_canary_runs'
down_revision = '0004_counts_of_answers'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('canary_run',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('probe', sa.String(length=40), nullable=False),
    sa.Column('item_id', sa.String(length=200), nullable=False),
    sa.Column('outcome', sa.String(length=12), nullable=False),
    sa.Column('lag_ms', sa.Integer(), nullable=True),
    sa.Column('is_kept', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_canary_run'))
    )
    with op.batch_alter_table('canary_run', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_canary_run_at'), ['at'], unique=False)


def downgrade():
    op.drop_table('canary_run')
