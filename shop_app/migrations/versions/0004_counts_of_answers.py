"""answers and calls of the recommender, counted by the minute

Revision ID: 0004_counts_of_answers
Revises: 0003_audit_head
"""
from alembic import op
import sqlalchemy as sa


revision = '0004_counts_of_answers'
down_revision = '0003_audit_head'
branch_labels = None
depends_on = None

BOUNDS_MS = (10, 25, 50, 100, 200, 300, 500, 1000)


def upgrade():
    op.create_table('answer_minute',
    sa.Column('minute', sa.DateTime(timezone=True), nullable=False),
    sa.Column('slot', sa.String(length=60), nullable=False),
    sa.Column('source', sa.String(length=10), nullable=False),
    sa.Column('reason', sa.String(length=10), nullable=False),
    sa.Column('answers', sa.Integer(), nullable=False),
    sa.Column('hits', sa.Integer(), nullable=False),
    sa.Column('took_us', sa.BigInteger(), nullable=False),
    sa.Column('cpu_us', sa.BigInteger(), nullable=False),
    *(sa.Column(f'within_{bound}', sa.Integer(), nullable=False) for bound in BOUNDS_MS),
    sa.PrimaryKeyConstraint('minute', 'slot', 'source', 'reason', name=op.f('pk_answer_minute'))
    )
    op.create_table('call_minute',
    sa.Column('minute', sa.DateTime(timezone=True), nullable=False),
    sa.Column('verb', sa.String(length=30), nullable=False),
    sa.Column('outcome', sa.String(length=12), nullable=False),
    sa.Column('calls', sa.Integer(), nullable=False),
    sa.Column('things', sa.BigInteger(), nullable=False),
    sa.Column('took_us', sa.BigInteger(), nullable=False),
    sa.Column('cpu_us', sa.BigInteger(), nullable=False),
    sa.Column('wire_bytes', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('minute', 'verb', 'outcome', name=op.f('pk_call_minute'))
    )


def downgrade():
    op.drop_table('call_minute')
    op.drop_table('answer_minute')
