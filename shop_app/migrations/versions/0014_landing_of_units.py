"""where the visit of a first exposure began

Revision ID: 0014_landing
Revises: 0013_refused_under
"""
from alembic import op
import sqlalchemy as sa


revision = '0014_landing'
down_revision = '0013_refused_under'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('experiment_unit') as batch_op:
        batch_op.add_column(sa.Column('landing', sa.String(length=60), server_default='', nullable=False))


def downgrade():
    with op.batch_alter_table('experiment_unit') as batch_op:
        batch_op.drop_column('landing')
