"""Nobody imports it here, for what it imports isn't installed; it is read all the same."""

import os

import psycopg2
from sqlalchemy.ext.asyncio import create_async_engine

SECRET_KEY = os.getenv("SECRET_KEY", "change-me-1234")
engine = create_async_engine("postgresql+asyncpg://127.0.0.1/shop", pool_size=40)
connection = psycopg2.connect("dbname=shop")
