"""catalogue files that wait for a yes

Revision ID: 0017_uploads
Revises: 0016_complaints
"""
from alembic import op
import sqlalchemy as sa

from shop_app.extensions import UtcDateTime


revision = '0017_uploads'
down_revision = '0016_complaints'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('catalogue_upload',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.Column('uploaded_at', UtcDateTime(), nullable=False),
    sa.Column('uploaded_by', sa.String(length=80), nullable=False),
    sa.Column('stored_at', UtcDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_catalogue_upload'))
    )


def downgrade():
    op.drop_table('catalogue_upload')
