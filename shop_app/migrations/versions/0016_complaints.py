"""what people say is not for them

Revision ID: 0016_complaints
Revises: 0015_letters
"""
from alembic import op
import sqlalchemy as sa

from shop_app.extensions import UtcDateTime


revision = '0016_complaints'
down_revision = '0015_letters'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('complaint',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.Column('surface', sa.String(length=60), nullable=False),
    sa.Column('widget', sa.String(length=60), nullable=False),
    sa.Column('request_id', sa.String(length=80), nullable=True),
    sa.Column('shopper_key', sa.String(length=40), nullable=True),
    sa.Column('is_qa', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_complaint')),
    sa.UniqueConstraint('request_id', 'shopper_key', name=op.f('uq_complaint_request_id'))
    )
    op.create_index('ix_complaint_place', 'complaint', ['at', 'surface', 'widget'])
    op.create_index(op.f('ix_complaint_shopper_key'), 'complaint', ['shopper_key'])


def downgrade():
    op.drop_table('complaint')
