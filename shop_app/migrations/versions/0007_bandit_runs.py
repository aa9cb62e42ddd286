"""bandits on slots

Revision ID: 0007_bandit_runs
Revises: 0006_batches_at_once
"""
from alembic import op
import sqlalchemy as sa


revision = '0007_bandit_runs'
down_revision = '0006_batches_at_once'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('bandit_run',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('slot', sa.String(length=80), nullable=False),
    sa.Column('policies', sa.JSON(), nullable=False),
    sa.Column('guardrails', sa.JSON(), nullable=False),
    sa.Column('planned_units', sa.Integer(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('started_by', sa.String(length=80), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_because', sa.String(length=300), nullable=False),
    sa.Column('last_event_id', sa.Integer(), nullable=False),
    sa.Column('watches', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bandit_run'))
    )
    with op.batch_alter_table('bandit_run', schema=None) as batch_op:
        batch_op.create_index('ix_bandit_run_slot', ['slot', 'ended_at'], unique=False)


def downgrade():
    op.drop_table('bandit_run')
