"""daily sums by audience and arm

Revision ID: 0012_by_audience
Revises: 0011_targeting
"""
from alembic import op
import sqlalchemy as sa


revision = '0012_by_audience'
down_revision = '0011_targeting'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('day_audience',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('type', sa.Integer(), nullable=False),
    sa.Column('surface', sa.String(length=60), nullable=False),
    sa.Column('widget', sa.String(length=60), nullable=False),
    sa.Column('audience', sa.String(length=10), nullable=False),
    sa.Column('arm', sa.String(length=100), nullable=False),
    sa.Column('recommended', sa.Boolean(), nullable=False),
    sa.Column('events', sa.Integer(), nullable=False),
    sa.Column('units', sa.Double(), nullable=False),
    sa.PrimaryKeyConstraint(
        'day', 'type', 'surface', 'widget', 'audience', 'arm', 'recommended', name=op.f('pk_day_audience')
    )
    )
    # Every day is summed again, by audience too.
    op.execute('DELETE FROM rolled_day')


def downgrade():
    op.drop_table('day_audience')
