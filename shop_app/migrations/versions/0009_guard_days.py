"""clicks on sold-out products, day by day

Revision ID: 0009_guard_days
Revises: 0008_studies
"""
from alembic import op
import sqlalchemy as sa


revision = '0009_guard_days'
down_revision = '0008_studies'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('guard_day',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('surface', sa.String(length=60), nullable=False),
    sa.Column('widget', sa.String(length=60), nullable=False),
    sa.Column('sold_out_clicks', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'surface', 'widget', name=op.f('pk_guard_day'))
    )


def downgrade():
    op.drop_table('guard_day')
