"""experiments for some shoppers only

Revision ID: 0011_targeting
Revises: 0010_interleaving
"""
from alembic import op
import sqlalchemy as sa


revision = '0011_targeting'
down_revision = '0010_interleaving'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('experiment', schema=None) as batch_op:
        batch_op.add_column(sa.Column('targeting', sa.JSON(), nullable=False, server_default='{}'))
    with op.batch_alter_table('experiment', schema=None) as batch_op:
        batch_op.alter_column('targeting', server_default=None)


def downgrade():
    with op.batch_alter_table('experiment', schema=None) as batch_op:
        batch_op.drop_column('targeting')
