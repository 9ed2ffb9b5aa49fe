"""The one table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the table of entries."""

    initial = True
    dependencies = []
    operations = [migrations.CreateModel(name="Entry", fields=[
        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("text", models.CharField(max_length=200)),
    ])]
