"""the audit trail has a head that counts its entries

Revision ID: 0003_audit_head
Revises: 0002
"""
from alembic import op
import sqlalchemy as sa


revision = '0003_audit_head'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('audit_head',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('entries', sa.Integer(), nullable=False),
    sa.Column('chain_hash', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_head'))
    )
    op.execute(
        "INSERT INTO audit_head (id, entries, chain_hash) "
        "SELECT 1, (SELECT count(*) FROM audit_entry), chain_hash FROM audit_entry ORDER BY id DESC LIMIT 1"
    )


def downgrade():
    op.drop_table('audit_head')
