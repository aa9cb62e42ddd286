"""letters to members

Revision ID: 0015_letters
Revises: 0014_landing
"""
from alembic import op
import sqlalchemy as sa


revision = '0015_letters'
down_revision = '0014_landing'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('letter',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('user_id', sa.Integer(), nullable=True),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('link', sa.String(length=600), nullable=False),
    sa.Column('written_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['user.id'], name=op.f('fk_letter_user_id_user')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_letter'))
    )
    with op.batch_alter_table('letter', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_letter_user_id'), ['user_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_letter_written_at'), ['written_at'], unique=False)


def downgrade():
    op.drop_table('letter')
