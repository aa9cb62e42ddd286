"""what somebody turned away with a list

Revision ID: 0020_turned_away
Revises: 0019_credit_arms
"""
from alembic import op
import sqlalchemy as sa


revision = '0020_turned_away'
down_revision = '0019_credit_arms'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('complaint') as batch_op:
        batch_op.add_column(sa.Column('turned_away', sa.JSON(none_as_null=True), nullable=True))


def downgrade():
    with op.batch_alter_table('complaint') as batch_op:
        batch_op.drop_column('turned_away')
